module repeat

go 1.21
