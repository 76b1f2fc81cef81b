package main

var (
	Run      = run
	Median   = median
	Quantile = quantile
)
