# The operator's image: one static program on a base that has certificates and time zones, and nothing
# else. For amd64 and arm64 on a machine of either kind:
#
#   docker buildx build --platform linux/amd64,linux/arm64 .
#
# BUILDER and BASE can be pinned by digest, or taken from a mirror, by build argument.
ARG BUILDER=docker.io/library/rust:1.95-bookworm
ARG BASE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
ARG TARGETARCH
WORKDIR /src
COPY hack/image-toolchain hack/
RUN hack/image-toolchain ${TARGETARCH}

# The dependencies, a layer that stays until one of them changes.
COPY Cargo.toml Cargo.lock ./
COPY simulators/Cargo.toml simulators/
COPY crates/core/Cargo.toml crates/core/
COPY crates/http/Cargo.toml crates/http/
COPY benches benches
RUN mkdir src simulators/src crates/core/src crates/http/src \
 && touch src/lib.rs simulators/src/lib.rs crates/core/src/lib.rs crates/http/src/lib.rs \
 && echo 'fn main() {}' >src/main.rs \
 && . /etc/image-toolchain && cargo build --release --locked --bin directory-sync

COPY src src
COPY crates crates
ARG REVISION=
# Cargo goes by the time of a file, and what was just copied may be older than what stood in for it.
RUN touch src/lib.rs src/main.rs crates/*/src/lib.rs \
 && . /etc/image-toolchain && DIRECTORY_SYNC_COMMIT=${REVISION} cargo build --release --locked --bin directory-sync \
 && cp "target/$CARGO_BUILD_TARGET/release/directory-sync" /directory-sync

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="directory-sync-operator" \
      org.opencontainers.image.description="Keeps a Bitwarden organization's members and groups in step with a company directory" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/directorysync/directory-sync-operator" \
      org.opencontainers.image.documentation="https://github.com/directorysync/directory-sync-operator/tree/main/docs" \
      org.opencontainers.image.vendor="directorysync" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /directory-sync /directory-sync
# A number: Kubernetes can't tell of a name that it isn't root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/directory-sync"]
CMD ["operator"]
