module example.com/go-root

go 1.25

require github.com/dustin/go-humanize v1.0.1
