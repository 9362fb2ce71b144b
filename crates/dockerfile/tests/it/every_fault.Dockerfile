# check=experimental=all

ARG VERSION

FROM ${UNDECLARED:-foreign}:1 AS one

FROM alpine:${VERSION} AS Two

FROM --platform=linux/arm64 alpine:3.22 as three

FROM --platform=$TARGETPLATFORM alpine:3.22 AS same

FROM alpine:3.22 AS same

# described wrongly
FROM debian AS scratch
MAINTAINER me
WORKDIR relative
ENV OLD form
env API_TOKEN=abc \

    B=$VERSION
COPY ignored.txt /
EXPOSE 80/TCP 1:2
RUN cd /app && sudo make
COPY . .
RUN apt-get update
RUN npm ci
CMD ["a"]
CMD echo
