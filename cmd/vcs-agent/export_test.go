package main

// What the tests use of this package.
var (
	Main       = main
	NewCommand = newCommand
)
