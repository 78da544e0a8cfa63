// An HTTP/1.1 server for few but long answers: connections in one thread, handlers in a pool of others, answers whole or
// in pieces, as they come (chunked). It knows neither JSON nor models.
//
// Requests of one connection are answered in their order, one at a time (pipelining). What is not HTTP, too large, too
// slow or from a foreign page is refused here, and the handler never sees it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/log.h"

namespace lathe {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = {};
  std::string path = {}, query = {};  // of the target, before and behind '?'; as sent, not decoded
  HttpHeaders headers = {};
  std::string body = {};
  std::string client = {};  // the other end's address, without its port
  // The first header of this name, in any case; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers = {};  // beside Content-Length, Date, Connection, which the server knows
  std::string body = {};
};

// The way back to one request's client. Any thread may call it; calls never wait for the client. Either send() once, or
// begin(), any number of write(), and end(). What comes behind that, or when the client has gone, is dropped.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void send(HttpResponse response) = 0;
  // The status and the headers of an answer in pieces; its body is the first piece.
  virtual void begin(HttpResponse head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  // Whether the client has gone, or reads so slowly that more than HttpServerOptions::most_unread waits for it, which
  // ends the connection.
  virtual bool gone() const = 0;
  // Called once, in the connections' thread, when that happens before the answer is complete; at once if it has. Must
  // not block.
  virtual void on_gone(std::function<void()> f) = 0;
};

// Called in a thread of the pool. What it throws becomes an answer of status 500 (if none has begun) and a line in the log.
// The reply may be kept and used later; one that is dropped without an answer is answered with 500.
using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<HttpReply> reply)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: any that is free
  std::vector<std::string> allowed_hosts =
      {};  // more names by which a server on a loopback address may be called
  std::vector<std::string> cors_origins = {};  // pages that may ask; "*": any, without credentials
  size_t most_header_bytes = 64 << 10;
  size_t most_body_bytes = 32 << 20;
  size_t most_unread = 8 << 20;  // bytes of an answer that wait for a client
  int most_connections = 4096;
  int threads = 2;  // of the pool
  std::chrono::milliseconds header_timeout{
      10'000};  // from the first byte of a request to its last header
  std::chrono::milliseconds body_timeout{
      60'000};  // without a byte of a body that is due, or of an answer taken
  std::chrono::milliseconds idle_timeout{60'000};  // between two requests
  std::string tls_certificate = {}, tls_key = {};  // PEM files; both or neither
  // The answer to what no handler sees, in the form that the caller's clients know. `path` is empty where no request
  // could be read.
  std::function<HttpResponse(int status, std::string_view message, std::string_view path)> refusal =
      {};
};

// Thread-safe.
class HttpServer {
 public:
  // Binds the port. Errors: kConfig for a host or port that cannot be bound, naming it and saying what to do (a port in
  // use), and for certificates that cannot be read or do not fit.
  HttpServer(HttpServerOptions options, HttpHandler handler, Log log);
  ~HttpServer();

  std::string host() const;  // as bound: an address
  uint16_t port() const;
  bool secure() const;

  // Serves until stop(), or until drain() has let all open requests end.
  void run();
  // Takes no more connections, ends idle ones, and answers what comes on the others with 503 through `refusal`; run()
  // returns when the last answer is complete.
  void drain();
  // Ends everything at once.
  void stop();

  int64_t connections() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lathe
