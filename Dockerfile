# Both programs in one image: Node, the libraries that it loads, and nothing else. No shell, no package manager.
#   npm run image                                  with buildah, the same bytes each time
#   docker buildx build --platform linux/amd64,linux/arm64 .
# Pin the first image in your own builds: --build-arg NODE_IMAGE=docker.io/library/node@sha256:…, or NODE_IMAGE in the
# environment of npm run image. Both native libraries bring a binary for each of the two machines; no compiler runs.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /fim-agent
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
ARG SOURCE_DATE_EPOCH=0
RUN node build.ts && node packaging/image-root.ts /image

FROM scratch
COPY --from=build /image/ /
ENV PATH=/usr/local/bin
# The agent, as root with the capabilities that deploy/kustomize states. The collector runs as 65532, with the command
# fim-collector.
ENTRYPOINT ["fim-agent"]
CMD ["watch"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="fim-agent" \
      org.opencontainers.image.description="File integrity monitor for Kubernetes control-plane nodes: agent and collector" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
