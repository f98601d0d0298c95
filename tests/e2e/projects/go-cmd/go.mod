module example.com/go-cmd

go 1.25

require github.com/dustin/go-humanize v1.0.1
