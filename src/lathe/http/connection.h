// One connection of an HTTP server: reads requests, hands them on one at a time, writes their answers. Everything but
// Reply runs in the thread of the connections.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "lathe/http/http_text.h"

namespace lathe::http {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// What connections share with their server.
struct Serving {
  HttpServerOptions options;
  bool loopback = false;  // foreign hosts are refused
  bool draining = false;
  // Hands a request to the pool.
  std::function<void(HttpRequest, std::shared_ptr<HttpReply>)> dispatch;
};

// A connection without its type of stream.
class AnyConnection : public std::enable_shared_from_this<AnyConnection> {
 public:
  virtual ~AnyConnection() = default;
  virtual void start() = 0;
  // Refuses everything, at once.
  virtual void turn_away(int status, std::string_view message) = 0;
  // Idle ones end; others when their answer is complete.
  virtual void drain() = 0;
  virtual void close() = 0;
  // The same, and whoever answers is told that the client has gone.
  virtual void leave() = 0;
  // Of the answer to request `number`, which is dropped if another one is open.
  virtual void begin_answer(uint64_t number, HttpResponse response, bool whole) = 0;
  virtual void write_piece(uint64_t number, std::string piece) = 0;
  virtual void end_answer(uint64_t number) = 0;
};

// The way back that a handler gets. It may outlive the server, whose end is that of all clients.
class Reply : public HttpReply, public std::enable_shared_from_this<Reply> {
 public:
  Reply(std::shared_ptr<AnyConnection> connection, asio::any_io_executor executor, uint64_t number,
        std::function<HttpResponse()> unanswered);
  ~Reply() override;
  void send(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void write(std::string piece) override;
  void end() override;
  bool gone() const override;
  void on_gone(std::function<void()> f) override;
  // Called by the connection.
  void client_has_gone();

 private:
  const std::shared_ptr<AnyConnection> connection_;
  const asio::any_io_executor executor_;
  const uint64_t number_;
  const std::function<HttpResponse()> unanswered_;
  mutable std::mutex mutex_;
  bool begun_ = false, ended_ = false, gone_ = false;
  std::vector<std::function<void()>> on_gone_;
};

template <class Stream>
class Connection final : public AnyConnection {
 public:
  // `closed` is called once.
  Connection(Stream stream, Serving& serving, std::function<void()> closed);
  ~Connection() override;
  void start() override;
  void turn_away(int status, std::string_view message) override;
  void drain() override;
  void close() override;
  void leave() override;
  void begin_answer(uint64_t number, HttpResponse response, bool whole) override;
  void write_piece(uint64_t number, std::string piece) override;
  void end_answer(uint64_t number) override;

 private:
  enum class State : uint8_t { kIdle, kHeaders, kBody, kAnswering, kLingering, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  std::shared_ptr<Connection> self() {
    return std::static_pointer_cast<Connection>(shared_from_this());
  }
  tcp::socket& socket();
  void read();
  void on_read(ErrorCode error, size_t count);
  void advance();
  void begin_request();
  bool parse();
  bool accept_headers();
  void dispatch();
  bool answer_preflight(const HttpRequest& request);
  void refuse(int status, std::string_view message);
  void add_cors(HttpResponse& response) const;
  bool allows_origin(std::string_view origin) const;
  void enqueue(std::string data);
  void write();
  void on_written(ErrorCode error);
  void linger();
  void set_deadline(std::chrono::milliseconds time);
  void on_deadline();

  Stream stream_;
  Serving& serving_;
  std::function<void()> closed_;
  asio::steady_timer deadline_, write_deadline_;
  State state_ = State::kIdle;
  // Apart from the buffer, which may be taken from while a read is under way.
  std::array<char, 8 << 10> incoming_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  bool reading_ = false, turned_away_ = false, continue_sent_ = false;
  size_t lingered_ = 0;

  // Of the request that is answered.
  uint64_t number_ = 0;
  std::weak_ptr<Reply> reply_;
  std::string origin_, path_;
  bool head_only_ = false, keeps_alive_ = true, old_ = false, begun_ = false;
  BodyForm form_ = BodyForm::kWhole;

  std::deque<std::string> waiting_;
  std::string writing_;
  size_t unwritten_ = 0;
  bool is_writing_ = false;
};

extern template class Connection<tcp::socket>;
extern template class Connection<asio::ssl::stream<tcp::socket>>;

}  // namespace lathe::http
