package cli

// Nearest is what "did you mean" is made of.
var Nearest = nearest
