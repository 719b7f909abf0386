module homeport/tests/server

go 1.26.0
