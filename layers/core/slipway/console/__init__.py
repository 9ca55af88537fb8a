"""The console: pages for people, made of the API's answers.

    app         requests to pages: routes, headers, refusals
    api         the client of the API
    session     who is signed in, sealed in a cookie
    markup      HTML with escaping
    layout      what all pages share
    pages/      one module for each subject

The console is a client like any other. It has no right to the table, so what somebody may see and
do is decided by the API, with the token of the person who is signed in.
"""
