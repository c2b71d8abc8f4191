// An OpenID Connect issuer for tests: oidc-provider with accounts that exist as soon as somebody names them.
//
//     node provider.mjs MODULES CLIENT SECRET REDIRECT_URI
//
// It listens on a free loopback port and prints its issuer. A line on standard input, `gone LOGIN`, takes an account away;
// `groups LOGIN A,B` puts it into groups. It ends with its standard input.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, client, secret, redirect] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));

const gone = new Set();
const groups = new Map();
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "test" };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: client,
        client_secret: secret,
        redirect_uris: [redirect],
        grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        response_types: ["code"],
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    pkce: { required: () => true },
    features: { deviceFlow: { enabled: true }, revocation: { enabled: true }, devInteractions: { enabled: true } },
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
    findAccount: (_context, login) =>
      gone.has(login)
        ? undefined
        : {
            accountId: login,
            claims: () => ({
              sub: login,
              preferred_username: login,
              email: `${login}@example.org`,
              email_verified: true,
              groups: groups.get(login) ?? [],
            }),
          },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [word, login, names] = line.split(" ");
    if (word === "gone") gone.add(login);
    if (word === "groups") groups.set(login, names.split(","));
  })
  .on("close", () => process.exit(0));
