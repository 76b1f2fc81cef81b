// Package browser drives the gateway's pages with Debian's Chromium, as people
// do: with a mouse, with a keyboard alone, with and without JavaScript. Behind
// the pages are a real gateway, real agents and a sample VCS. It's a module of
// its own so that chromedp stays out of the software's dependencies.
//
// What people read is how the tests find things: a button by its name, a field
// by its label, through the browser's accessibility tree. Whatever the pages do
// beside that fails a test by itself: an error or warning on the console, a
// script's exception, a violation of the content security policy, a request
// that fails, is refused unexpectedly or goes to another origin.
package browser
