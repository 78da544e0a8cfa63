#include "lathe/http/http_server.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <list>
#include <mutex>

#include "lathe/base/error.h"
#include "lathe/http/connection.h"

namespace lathe {

using http::AnyConnection;
using http::ErrorCode;
using http::tcp;
namespace asio = boost::asio;

// Shared with connections, which replies keep.
struct HttpServer::State : std::enable_shared_from_this<State> {
  State(HttpServerOptions options, HttpHandler handler, Log log);
  void end();
  void bind();
  void load_certificate();
  void accept();
  void take(tcp::socket socket);
  void call(HttpRequest request, const std::shared_ptr<HttpReply>& reply) const;
  void forget_ended();
  void close_all();

  HttpHandler handler;
  Log log;
  http::Serving serving;
  asio::io_context io{1};
  std::optional<asio::ssl::context> tls;
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::list<std::weak_ptr<AnyConnection>> connections;
  std::atomic<int64_t> count{0};
  bool said_full = false;
  asio::thread_pool pool;
};

HttpServer::State::State(HttpServerOptions options, HttpHandler handler_, Log log_)
    : handler(std::move(handler_)),
      log(std::move(log_)),
      pool(static_cast<size_t>(options.threads)) {
  serving.options = std::move(options);
  if (!serving.options.refusal)
    serving.options.refusal = [](int status, std::string_view message, std::string_view) {
      return HttpResponse{.status = status,
                          .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
                          .body = std::string(message) + "\n"};
    };
  serving.dispatch = [this](HttpRequest request, std::shared_ptr<HttpReply> reply) {
    asio::post(pool, [this, request = std::move(request), reply = std::move(reply)]() mutable {
      call(std::move(request), reply);
    });
  };
}

// Handlers end first; what they answer later finds that its client has gone.
void HttpServer::State::end() {
  pool.join();
  close_all();
  io.restart();
  io.poll();
}

void HttpServer::State::bind() {
  const HttpServerOptions& o = serving.options;
  ErrorCode error;
  asio::ip::address address =
      asio::ip::make_address(o.host == "localhost" ? "127.0.0.1" : o.host, error);
  if (error) {
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(o.host, std::to_string(o.port), error);
    require(
        !error && !found.empty(), ErrorKind::kConfig, "host",
        "'{}' is no address of this machine; 127.0.0.1 is this machine alone, 0.0.0.0 all of its networks",
        o.host);
    address = found.begin()->endpoint().address();
  }
  const tcp::endpoint endpoint(address, o.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  require(!error, ErrorKind::kConfig, "port",
          "{}:{} cannot be used ({}); give another --port, 0 for any that is free", o.host, o.port,
          error.message());
  serving.loopback = address.is_loopback();
}

void HttpServer::State::load_certificate() {
  const HttpServerOptions& o = serving.options;
  if (o.tls_certificate.empty() && o.tls_key.empty()) return;
  tls.emplace(asio::ssl::context::tls_server);
  tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                   asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                   asio::ssl::context::no_tlsv1_1);
  ErrorCode error;
  tls->use_certificate_chain_file(o.tls_certificate, error);
  require(!error, ErrorKind::kConfig, "tls_certificate",
          "{} cannot be read as a certificate ({}); expected PEM", o.tls_certificate,
          error.message());
  tls->use_private_key_file(o.tls_key, asio::ssl::context::pem, error);
  require(!error, ErrorKind::kConfig, "tls_key",
          "{} cannot be read as the key of {} ({}); expected PEM", o.tls_key, o.tls_certificate,
          error.message());
}

void HttpServer::State::accept() {
  acceptor.async_accept([this](ErrorCode error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
    if (!error) {
      take(std::move(socket));
      return accept();
    }
    // No descriptor is left, for example: others end meanwhile.
    if (!std::exchange(said_full, true))
      log.warn("a connection could not be taken: {}", error.message());
    pause.expires_after(std::chrono::milliseconds(100));
    pause.async_wait([this](ErrorCode stopped) {
      if (!stopped) accept();
    });
  });
}

void HttpServer::State::take(tcp::socket socket) {
  const bool full = count >= serving.options.most_connections;
  ++count;
  const auto closed = [self = shared_from_this()] { --self->count; };
  std::shared_ptr<AnyConnection> connection;
  if (tls)
    connection = std::make_shared<http::Connection<asio::ssl::stream<tcp::socket>>>(
        asio::ssl::stream<tcp::socket>(std::move(socket), *tls), serving, closed);
  else
    connection =
        std::make_shared<http::Connection<tcp::socket>>(std::move(socket), serving, closed);
  if (connections.size() > 2 * static_cast<size_t>(count) + 64) forget_ended();
  connections.push_back(connection);
  full ? connection->turn_away(503, "too many connections; try again later") : connection->start();
}

void HttpServer::State::forget_ended() {
  std::erase_if(connections, [](const auto& weak) { return weak.expired(); });
}

void HttpServer::State::call(HttpRequest request, const std::shared_ptr<HttpReply>& reply) const {
  const std::string path = request.path;
  try {
    handler(std::move(request), reply);
  } catch (const std::exception& error) {
    log.warn("{}: {}", path, error.what());
    reply->send(serving.options.refusal(500, "internal error", path));
  }
}

void HttpServer::State::close_all() {
  ErrorCode ignored;
  acceptor.close(ignored);
  pause.cancel();
  for (const auto& weak : connections)
    if (const auto connection = weak.lock()) connection->leave();
}

HttpServer::HttpServer(HttpServerOptions options, HttpHandler handler, Log log)
    : state_(std::make_shared<State>(std::move(options), std::move(handler), std::move(log))) {
  std::signal(SIGPIPE, SIG_IGN);  // a client that leaves is an error of its write
  state_->load_certificate();
  state_->bind();
}

HttpServer::~HttpServer() { state_->end(); }

std::string HttpServer::host() const {
  return state_->acceptor.local_endpoint().address().to_string();
}
uint16_t HttpServer::port() const { return state_->acceptor.local_endpoint().port(); }
bool HttpServer::secure() const { return state_->tls.has_value(); }
int64_t HttpServer::connections() const { return state_->count; }

void HttpServer::run() {
  state_->accept();
  state_->io.run();
}

void HttpServer::drain() {
  asio::post(state_->io, [this] {
    State& s = *state_;
    s.serving.draining = true;
    ErrorCode ignored;
    s.acceptor.close(ignored);
    s.pause.cancel();
    for (const auto& weak : s.connections)
      if (const auto connection = weak.lock()) connection->drain();
  });
}

void HttpServer::stop() {
  asio::post(state_->io, [this] {
    state_->close_all();
    state_->io.stop();
  });
}

}  // namespace lathe
