// Counts the links of a web page: those that stay on its site, and those that lead elsewhere.
//
//	href-counter URL        or the URL in the variable `url`
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/net/html"
)

// counts is what is printed, as JSON.
type counts struct {
	Internal int `json:"internal"`
	External int `json:"external"`
}

func main() {
	page, err := pageURL(os.Args[1:], os.Getenv("url"))
	if err != nil {
		fail(err)
	}
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Get(page.String())
	if err != nil {
		fail(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		fail(fmt.Errorf("%s: %s", page, response.Status))
	}
	found, err := count(response.Body, page)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

// pageURL is the page to look at: the first argument, else the variable's value.
func pageURL(arguments []string, variable string) (*url.URL, error) {
	text := variable
	if len(arguments) > 0 {
		text = arguments[0]
	}
	if text == "" {
		return nil, fmt.Errorf("no page: give a URL, or set the variable url")
	}
	page, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	if page.Host == "" {
		return nil, fmt.Errorf("not the URL of a page: %s", text)
	}
	return page, nil
}

// count reads the page's text and looks where each of its anchors leads.
func count(body io.Reader, page *url.URL) (counts, error) {
	var found counts
	tokens := html.NewTokenizer(body)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if tokens.Err() == io.EOF {
				return found, nil
			}
			return found, tokens.Err()
		case html.StartTagToken, html.SelfClosingTagToken:
			target, ok := target(tokens.Token())
			if !ok {
				continue
			}
			link, err := page.Parse(target)
			if err != nil {
				continue
			}
			if link.Host == page.Host {
				found.Internal++
			} else {
				found.External++
			}
		}
	}
}

// target is where an anchor leads, if it leads anywhere.
func target(token html.Token) (string, bool) {
	if token.Data != "a" {
		return "", false
	}
	for _, attribute := range token.Attr {
		if attribute.Key == "href" {
			return attribute.Val, true
		}
	}
	return "", false
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "href-counter:", err)
	os.Exit(1)
}
