// What the README says of Jest: the package is ES modules, which Jest's transform has to turn into its own.
module.exports = {
  testMatch: ["**/component.jest.js"],
  transform: { "\\.js$": ["babel-jest", { configFile: false, plugins: ["@babel/plugin-transform-modules-commonjs"] }] },
  transformIgnorePatterns: ["/node_modules/(?!stepcast/)"],
};
