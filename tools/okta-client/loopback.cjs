// Has a program listen on loopback alone, whatever it asks for: node --require loopback.cjs PROGRAM
const net = require('node:net');

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest.filter((one) => typeof one === 'function'));
};
