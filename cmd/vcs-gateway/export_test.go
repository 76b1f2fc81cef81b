package main

// What the tests of package main_test start.
var (
	NewCommand = newCommand
	Main       = main
	Pairs      = pairs
)
