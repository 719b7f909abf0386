module homeport/sandbox/pause

go 1.26.0
