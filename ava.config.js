export default {
  files: ["test/**/*.test.ts"],
  extensions: ["ts"],
  timeout: "5m",
  workerThreads: false,
};
