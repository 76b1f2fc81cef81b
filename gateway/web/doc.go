// Package web is the gateway's pages: what an admin sees and does in a browser.
//
//	http.Handle("/", web.New(web.Config{Control: control}))
//
// Pages are made on the server by html/template from what package control
// returns; templates, stylesheet and script are in the binary. The script only
// adds what plain pages can't do: it brings live parts up to date, copies,
// saves, and shows a linked page's form or details in place. It reads the same
// pages as the browser does, so there is no second interface to guard.
//
// What the package guarantees:
//
//   - Nothing but the sign-in page and the assets is shown without a session,
//     which only an admin key begins.
//   - A GET changes nothing. Every other request must come from the gateway's own
//     pages: by the browser's word (Sec-Fetch-Site or Origin) and with the
//     session's token in the form.
//   - Tokens, keys and the session's secret are in no URL and no log line. A token
//     or key is in one answer, to the request that made it, which no cache keeps.
//   - What agents, callers and the VCS said is text wherever it is shown: the
//     templates escape it, and the content security policy lets no script run but
//     the one file.
//   - What a request can send is bounded, and so are attempts to sign in.
package web
