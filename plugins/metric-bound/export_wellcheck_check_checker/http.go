package export_wellcheck_check_checker

import (
	"errors"
	"fmt"
	"strings"

	"wit_component/wasi_clocks_monotonic_clock"
	"wit_component/wasi_http_outgoing_handler"
	"wit_component/wasi_http_types"
	"wit_component/wasi_io_poll"
	"wit_component/wasi_io_streams"
	"wit_component/wellcheck_check_context"

	"go.bytecodealliance.org/pkg/wit/types"
)

// The host has a limit of its own, which makes the run a fault.
const bodyLimit = 1 << 20

// get returns the status and the body of an answer, of whatever status it is. One deadline bounds
// it, a little before the host would end the run: a slow target is then something to report.
// Resources are dropped in the reverse order of their making, since they are part of each other.
func get(url string) (uint16, string, error) {
	remaining := wellcheck_check_context.RemainingMs()
	deadline := wasi_clocks_monotonic_clock.SubscribeDuration((remaining - min(remaining/10, 100)) * 1_000_000)
	defer deadline.Drop()

	request, err := newRequest(url)
	if err != nil {
		return 0, "", err
	}
	handled := wasi_http_outgoing_handler.Handle(request, wit_types.None[*wasi_http_types.RequestOptions]())
	if handled.IsErr() {
		return 0, "", codeError(handled.Err())
	}
	future := handled.Ok()
	defer future.Drop()
	if err := wait(future.Subscribe(), deadline); err != nil {
		return 0, "", err
	}
	answered := future.Get().Some().Ok()
	if answered.IsErr() {
		return 0, "", codeError(answered.Err())
	}
	answer := answered.Ok()
	defer answer.Drop()
	incoming := answer.Consume().Ok()
	defer incoming.Drop()
	stream := incoming.Stream().Ok()
	defer stream.Drop()

	var body strings.Builder
	for body.Len() <= bodyLimit {
		chunk := stream.Read(64 << 10)
		if chunk.IsErr() {
			if chunk.Err().Tag() == wasi_io_streams.StreamError_Closed {
				return answer.Status(), body.String(), nil
			}
			return 0, "", errors.New("the answer broke off")
		}
		if len(chunk.Ok()) == 0 {
			if err := wait(stream.Subscribe(), deadline); err != nil {
				return 0, "", err
			}
		}
		body.Write(chunk.Ok())
	}
	return 0, "", fmt.Errorf("the answer is longer than %d bytes", bodyLimit)
}

func newRequest(url string) (*wasi_http_types.OutgoingRequest, error) {
	name, rest, _ := strings.Cut(url, "://")
	rest, _, _ = strings.Cut(rest, "#")
	scheme := wasi_http_types.MakeSchemeHttp()
	if name == "https" {
		scheme = wasi_http_types.MakeSchemeHttps()
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	path := rest[end:]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	headers := wasi_http_types.MakeFields()
	if parent := wellcheck_check_context.Traceparent(); parent.IsSome() {
		headers.Set("traceparent", [][]uint8{[]uint8(parent.Some())})
	}
	request := wasi_http_types.MakeOutgoingRequest(headers)
	if request.SetScheme(wit_types.Some(scheme)).IsErr() ||
		request.SetAuthority(wit_types.Some(rest[:end])).IsErr() ||
		request.SetPathWithQuery(wit_types.Some(path)).IsErr() {
		return nil, fmt.Errorf("not a URL that can be asked for: `%s`", url)
	}
	return request, nil
}

func wait(ready, deadline *wasi_io_poll.Pollable) error {
	defer ready.Drop()
	if wasi_io_poll.Poll([]*wasi_io_poll.Pollable{ready, deadline})[0] != 0 {
		return errors.New("no answer in time")
	}
	return nil
}

// The codes that a target gives cause for. Of the rest only the number is known here.
var codes = map[uint8]string{
	wasi_http_types.ErrorCode_DnsTimeout:             "the name does not resolve",
	wasi_http_types.ErrorCode_DnsError:               "the name does not resolve",
	wasi_http_types.ErrorCode_DestinationUnavailable: "destination unavailable",
	wasi_http_types.ErrorCode_ConnectionRefused:      "connection refused",
	wasi_http_types.ErrorCode_ConnectionTerminated:   "connection terminated",
	wasi_http_types.ErrorCode_ConnectionTimeout:      "connection timeout",
	wasi_http_types.ErrorCode_TlsProtocolError:       "tls protocol error",
	wasi_http_types.ErrorCode_TlsCertificateError:    "tls certificate error",
	wasi_http_types.ErrorCode_HttpRequestDenied:      "http request denied",
	wasi_http_types.ErrorCode_HttpResponseTimeout:    "http response timeout",
	wasi_http_types.ErrorCode_HttpProtocolError:      "http protocol error",
}

func codeError(code wasi_http_types.ErrorCode) error {
	if code.Tag() == wasi_http_types.ErrorCode_InternalError && code.InternalError().IsSome() {
		return errors.New(code.InternalError().Some())
	}
	if words, ok := codes[code.Tag()]; ok {
		return errors.New(words)
	}
	return fmt.Errorf("wasi:http error code %d", code.Tag())
}
