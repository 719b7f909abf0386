module homeport/tests/probe

go 1.26.0
