# syntax=docker/dockerfile:1
ARG BASE=debian
FROM $BASE AS build
HEALTHCHECK CMD true
RUN <<END
HEALTHCHECK CMD not one
END

FROM build AS web
ENV PORT=8080 PATH_="/health"
ONBUILD HEALTHCHECK CMD curl http://localhost
HEALTHCHECK NONE
HEALTHCHECK --interval=5m --timeout=3s \
  # a comment in between
  --start-period=10s --start-interval=1s --retries=5 \
  CMD curl --fail --silent --max-time 2 -H 'Accept: text/plain' \
    "http://localhost:${PORT}$PATH_" || exit 1
EXPOSE 8080
