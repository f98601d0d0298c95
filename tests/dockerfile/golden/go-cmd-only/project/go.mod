module example.com/hello

go 1.23

toolchain go1.24.4

require golang.org/x/text v0.14.0
