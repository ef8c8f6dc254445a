module github.com/vcomd/vcomd

go 1.25.0
