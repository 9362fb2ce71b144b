// The host is no part of what is built, and nothing is sent anywhere.
module.exports = {
  poweredByHeader: false,
  reactStrictMode: true,
};
