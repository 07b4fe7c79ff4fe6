// Writes Google's description of an API (a discovery document) as one that Prism reads.
//
//   node describe.cjs CONVERTER DISCOVERY_DOCUMENT OUTPUT
const fs = require('node:fs');

const [converter, document, output] = process.argv.slice(2);
const { convert } = require(converter);
const swagger = convert(JSON.parse(fs.readFileSync(document, 'utf8')));
// The document says it of no call, and Prism checks bodies of the types that are named alone.
swagger.produces = ['application/json'];
fs.writeFileSync(output, JSON.stringify(swagger));
