# The operator's image: one static program on a base with certificates and time zones and nothing else.
# It can be built for amd64 and arm64 on a machine of either kind:
#
#   docker buildx build --platform linux/amd64,linux/arm64 .
#
# The build arguments BUILDER and BASE can name a digest or a mirror. The version of Rust is the one in
# rust-toolchain.toml (hack/check-versions).
ARG BUILDER=docker.io/library/rust:1.95-bookworm
ARG BASE=gcr.io/distroless/static-debian12:nonroot

# All that decides which dependencies there are: the manifests, with stand-ins for the code. Copied from
# here, it is the same until one of them changes, wherever members of the workspace come and go.
FROM --platform=$BUILDPLATFORM ${BUILDER} AS manifests
WORKDIR /manifests
COPY . .
RUN find . -name '*.rs' ! -path '*/src/lib.rs' ! -path ./src/main.rs ! -path '*/benches/*' -delete \
 && find . -name Cargo.toml -execdir mkdir -p src ';' -execdir touch src/lib.rs ';' \
 && find . -name '*.rs' -exec sh -c 'for file; do echo "fn main() { }" >"$file"; done' - {} + \
 && find . -type f ! -name '*.rs' ! -name 'Cargo.*' -delete \
 && find . -type d -empty -delete \
 && find . -exec touch -d @0 {} +

FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
ARG TARGETARCH
WORKDIR /src
COPY hack/image-toolchain hack/
RUN hack/image-toolchain ${TARGETARCH}

# The dependencies, a layer that stays until one of them changes.
COPY --from=manifests /manifests ./
RUN . /etc/image-toolchain && cargo build --release --locked --bin directory-sync

COPY build.rs ./
COPY src src
COPY crates crates
ARG REVISION=
# Cargo compares the times of files, and a copied file may be older than its stand-in.
RUN find src crates -name '*.rs' -exec touch {} + \
 && . /etc/image-toolchain && DIRECTORY_SYNC_COMMIT=${REVISION} cargo build --release --locked --bin directory-sync \
 && cp "target/$CARGO_BUILD_TARGET/release/directory-sync" /directory-sync

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="directory-sync-operator" \
      org.opencontainers.image.description="Keeps a Bitwarden organization's members and groups in sync with a company directory" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/directorysync/directory-sync-operator" \
      org.opencontainers.image.documentation="https://github.com/directorysync/directory-sync-operator/tree/main/docs" \
      org.opencontainers.image.vendor="directorysync" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /directory-sync /directory-sync
# A number, because Kubernetes can't check that a user name isn't root (runAsNonRoot).
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/directory-sync"]
CMD ["operator"]
