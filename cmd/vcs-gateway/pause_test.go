package main_test

import "time"

// pause lets another process work between two looks at what it wrote.
func pause() { <-time.After(10 * time.Millisecond) }
