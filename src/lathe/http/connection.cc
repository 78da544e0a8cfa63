#include "lathe/http/connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace lathe::http {
namespace {

namespace beast = boost::beast;
using std::chrono::milliseconds;

constexpr size_t kWriteSize = 64 << 10;
// How much longer a client that was refused is listened to, so that it can read why.
constexpr size_t kMostLingered = 64 << 20;
constexpr milliseconds kLingering{5000};

template <class Stream>
constexpr bool kSecure = !std::is_same_v<Stream, tcp::socket>;

int status_of(const ErrorCode& error) {
  using E = beast::http::error;
  if (error == E::header_limit || error == E::buffer_overflow) return 431;
  if (error == E::body_limit) return 413;
  if (error == E::bad_version) return 505;
  return 400;
}

std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Reply::Reply(std::shared_ptr<AnyConnection> connection, asio::any_io_executor executor,
             uint64_t number, std::function<HttpResponse()> unanswered)
    : connection_(std::move(connection)),
      executor_(std::move(executor)),
      number_(number),
      unanswered_(std::move(unanswered)) {}

Reply::~Reply() {
  if (ended_ || gone_) return;
  if (begun_)
    asio::post(executor_, [c = connection_] { c->close(); });  // what there is would look complete
  else
    asio::post(executor_,
               [c = connection_, n = number_, r = unanswered_()] { c->begin_answer(n, r, true); });
}

// Posted with the lock held: behind client_has_gone() nothing more is.
void Reply::send(HttpResponse response) {
  require_sound(response.headers);
  const std::lock_guard lock(mutex_);
  if (begun_ || ended_ || gone_) return;
  begun_ = ended_ = true;
  asio::post(executor_, [c = connection_, n = number_, r = std::move(response)]() mutable {
    c->begin_answer(n, std::move(r), true);
  });
}

void Reply::begin(HttpResponse head) {
  require_sound(head.headers);
  const std::lock_guard lock(mutex_);
  if (begun_ || ended_ || gone_) return;
  begun_ = true;
  asio::post(executor_, [c = connection_, n = number_, r = std::move(head)]() mutable {
    c->begin_answer(n, std::move(r), false);
  });
}

void Reply::write(std::string piece) {
  const std::lock_guard lock(mutex_);
  if (!begun_ || ended_ || gone_ || piece.empty()) return;
  asio::post(executor_, [c = connection_, n = number_, p = std::move(piece)]() mutable {
    c->write_piece(n, std::move(p));
  });
}

void Reply::end() {
  const std::lock_guard lock(mutex_);
  if (!begun_ || ended_ || gone_) return;
  ended_ = true;
  asio::post(executor_, [c = connection_, n = number_] { c->end_answer(n); });
}

bool Reply::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

void Reply::on_gone(std::function<void()> f) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) return on_gone_.push_back(std::move(f));
  }
  f();
}

void Reply::client_has_gone() {
  std::vector<std::function<void()>> all;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(gone_, true)) return;
    all = std::move(on_gone_);
  }
  for (const auto& f : all) f();
}

template <class Stream>
Connection<Stream>::Connection(Stream stream, Serving& serving, std::function<void()> closed)
    : stream_(std::move(stream)),
      serving_(serving),
      closed_(std::move(closed)),
      deadline_(stream_.get_executor()),
      write_deadline_(stream_.get_executor()) {}

template <class Stream>
Connection<Stream>::~Connection() {
  closed_();
}

template <class Stream>
tcp::socket& Connection<Stream>::socket() {
  if constexpr (kSecure<Stream>)
    return stream_.next_layer();
  else
    return stream_;
}

template <class Stream>
void Connection<Stream>::start() {
  ErrorCode ignored;
  socket().set_option(tcp::no_delay(true), ignored);
  if constexpr (kSecure<Stream>) {
    set_deadline(serving_.options.header_timeout);
    stream_.async_handshake(asio::ssl::stream_base::server, [me = self()](ErrorCode error) {
      if (error) return me->close();
      me->set_deadline(me->serving_.options.idle_timeout);
      me->read();
    });
  } else {
    set_deadline(serving_.options.idle_timeout);
    read();
  }
}

template <class Stream>
void Connection<Stream>::turn_away(int status, std::string_view message) {
  if constexpr (kSecure<Stream>) return close();  // a handshake would be work, too
  refuse(status, message);
  read();
}

// There is one read at any time, in every state but the last: it is how a client that leaves is noticed.
template <class Stream>
void Connection<Stream>::read() {
  if (reading_ || state_ == State::kClosed) return;
  // What a client sends while it waits for its answer is its next request; more of that than fits waits outside.
  if (state_ == State::kAnswering && buffer_.size() >= serving_.options.most_header_bytes) return;
  reading_ = true;
  stream_.async_read_some(asio::buffer(incoming_), [me = self()](ErrorCode error, size_t count) {
    me->on_read(error, count);
  });
}

template <class Stream>
void Connection<Stream>::on_read(ErrorCode error, size_t count) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (error) return leave();
  if (state_ == State::kLingering) {
    lingered_ += count;
    return lingered_ > kMostLingered ? close() : read();
  }
  asio::buffer_copy(buffer_.prepare(count), asio::buffer(incoming_, count));
  buffer_.commit(count);
  if (state_ == State::kBody) set_deadline(serving_.options.body_timeout);
  advance();
  read();
}

// Takes what was read as far as the next request that is answered.
template <class Stream>
void Connection<Stream>::advance() {
  while (true) {
    if (state_ == State::kIdle) {
      if (buffer_.size() == 0) return;
      begin_request();
    }
    if (state_ != State::kHeaders && state_ != State::kBody) return;
    if (!parse()) return;
    if (state_ == State::kHeaders && !accept_headers()) return;
    if (!parser_->is_done()) continue;
    return dispatch();
  }
}

template <class Stream>
void Connection<Stream>::begin_request() {
  state_ = State::kHeaders;
  ++number_;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(serving_.options.most_header_bytes));
  parser_->body_limit(serving_.options.most_body_bytes);
  path_.clear();
  origin_.clear();
  head_only_ = begun_ = continue_sent_ = false;
  set_deadline(serving_.options.header_timeout);
}

// A step of the parser; false where more must be read, or the request was refused.
template <class Stream>
bool Connection<Stream>::parse() {
  if (parser_->is_header_done()) parser_->eager(true);
  ErrorCode error;
  const size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  if (error == beast::http::error::need_more) {
    if (!parser_->is_header_done() && buffer_.size() > serving_.options.most_header_bytes)
      refuse(431, "the headers are too large");
    return false;
  }
  if (error) {
    refuse(status_of(error), error == beast::http::error::body_limit
                                 ? "the body is too large"
                                 : "this is not HTTP: " + error.message());
    return false;
  }
  return used > 0 || parser_->is_done();
}

// What the headers say of the request; false if it was refused.
template <class Stream>
bool Connection<Stream>::accept_headers() {
  using Field = beast::http::field;
  const auto& r = parser_->get();
  old_ = r.version() < 11;
  keeps_alive_ = r.keep_alive();
  head_only_ = r.method() == beast::http::verb::head;
  path_ = view_of(r.target().substr(0, r.target().find('?')));
  origin_ = view_of(r[Field::origin]);
  const auto refused = [&](int status, std::string_view message) {
    refuse(status, message);
    return false;
  };
  if (r.version() != 10 && r.version() != 11) return refused(505, "this server speaks HTTP/1.1");
  const bool chunked = r.count(Field::transfer_encoding) > 0;
  if (r.count(Field::content_length) > 1 || (chunked && r.count(Field::content_length) > 0))
    return refused(400, "the length of the body is given twice");
  if (chunked && (r.count(Field::transfer_encoding) > 1 ||
                  !equal_ignoring_case(view_of(r[Field::transfer_encoding]), "chunked")))
    return refused(400, "the only transfer encoding is chunked");
  if (r.count(Field::host) > 1 || (!old_ && r.count(Field::host) == 0))
    return refused(400, "exactly one Host header is needed");
  if (serving_.loopback && r.count(Field::host) == 1) {
    const std::string_view host = name_of_host(view_of(r[Field::host]));
    const auto is_host = [&](std::string_view name) { return equal_ignoring_case(host, name); };
    if (!is_host("localhost") && !is_host("127.0.0.1") && !is_host("[::1]") &&
        !is_host(serving_.options.host) &&
        std::ranges::none_of(serving_.options.allowed_hosts, is_host))
      return refused(
          403, "this server is not known by that Host; it can be allowed with --allowed-host");
  }
  if (serving_.draining) return refused(503, "the server is stopping; ask another one");
  state_ = State::kBody;
  set_deadline(serving_.options.body_timeout);
  if (!parser_->is_done() && equal_ignoring_case(view_of(r[Field::expect]), "100-continue") &&
      !std::exchange(continue_sent_, true))
    enqueue("HTTP/1.1 100 Continue\r\n\r\n");
  return true;
}

template <class Stream>
void Connection<Stream>::dispatch() {
  auto message = parser_->release();
  parser_.reset();
  HttpRequest request;
  request.method = view_of(message.method_string());
  const std::string_view target = view_of(message.target());
  const size_t mark = std::min(target.size(), target.find('?'));
  request.path = target.substr(0, mark);
  request.query = target.substr(std::min(target.size(), mark + 1));
  for (const auto& field : message)
    request.headers.emplace_back(view_of(field.name_string()), view_of(field.value()));
  request.body = std::move(message.body());
  ErrorCode ignored;
  request.client = socket().remote_endpoint(ignored).address().to_string();
  state_ = State::kAnswering;
  deadline_.cancel();
  if (answer_preflight(request)) return;
  const auto reply =
      std::make_shared<Reply>(shared_from_this(), stream_.get_executor(), number_,
                              [refusal = serving_.options.refusal, path = request.path] {
                                return refusal(500, "internal error", path);
                              });
  reply_ = reply;
  serving_.dispatch(std::move(request), reply);
}

// The question of a browser whether a page of another origin may ask.
template <class Stream>
bool Connection<Stream>::answer_preflight(const HttpRequest& request) {
  const bool asks =
      request.method == "OPTIONS" && !request.header("Access-Control-Request-Method").empty();
  if (!asks || !allows_origin(origin_)) return false;
  HttpResponse response{.status = 204};
  response.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS"},
                      {"Access-Control-Max-Age", "600"}};
  const std::string_view headers = request.header("Access-Control-Request-Headers");
  if (!headers.empty()) response.headers.emplace_back("Access-Control-Allow-Headers", headers);
  begin_answer(number_, std::move(response), /*whole=*/true);
  return true;
}

template <class Stream>
bool Connection<Stream>::allows_origin(std::string_view origin) const {
  if (origin.empty()) return false;
  return std::ranges::any_of(serving_.options.cors_origins, [&](const std::string& allowed) {
    return allowed == "*" || allowed == origin;
  });
}

template <class Stream>
void Connection<Stream>::add_cors(HttpResponse& response) const {
  const auto& origins = serving_.options.cors_origins;
  if (origins.empty()) return;
  const bool any = std::ranges::find(origins, "*") != origins.end();
  if (!any) response.headers.emplace_back("Vary", "Origin");
  if (!allows_origin(origin_)) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", any ? "*" : origin_);
  response.headers.emplace_back("Access-Control-Expose-Headers", "Lathe-Ignored, Retry-After");
}

// What is behind a request that cannot be read could be anything, so the connection ends.
template <class Stream>
void Connection<Stream>::refuse(int status, std::string_view message) {
  HttpResponse response = serving_.options.refusal(status, message, path_);
  add_cors(response);
  std::string text = head_text(response, BodyForm::kWhole, /*closes=*/true);
  if (!head_only_) text += response.body;
  state_ = State::kLingering;
  turned_away_ = true;
  set_deadline(kLingering);
  buffer_.consume(buffer_.size());
  enqueue(std::move(text));
}

template <class Stream>
void Connection<Stream>::begin_answer(uint64_t number, HttpResponse response, bool whole) {
  if (number != number_ || state_ != State::kAnswering || std::exchange(begun_, true)) return;
  add_cors(response);
  form_ = whole ? BodyForm::kWhole : old_ ? BodyForm::kToEnd : BodyForm::kChunked;
  keeps_alive_ = keeps_alive_ && !serving_.draining && form_ != BodyForm::kToEnd;
  std::string text = head_text(response, form_, !keeps_alive_);
  if (whole && !head_only_) text += response.body;
  enqueue(std::move(text));
  if (!whole && !response.body.empty()) write_piece(number, std::move(response.body));
  if (whole) end_answer(number);
}

template <class Stream>
void Connection<Stream>::write_piece(uint64_t number, std::string piece) {
  if (number != number_ || state_ != State::kAnswering || head_only_) return;
  enqueue(form_ == BodyForm::kChunked ? chunk_text(piece) : std::move(piece));
}

template <class Stream>
void Connection<Stream>::end_answer(uint64_t number) {
  if (number != number_ || state_ != State::kAnswering) return;
  if (form_ == BodyForm::kChunked && !head_only_) enqueue("0\r\n\r\n");
  if (state_ == State::kClosed) return;
  reply_.reset();
  if (!keeps_alive_ || serving_.draining) {
    state_ = State::kLingering;
    set_deadline(std::max(kLingering, serving_.options.body_timeout));
    if (!is_writing_) linger();
    return;
  }
  state_ = State::kIdle;
  set_deadline(serving_.options.idle_timeout);
  advance();
  read();
}

template <class Stream>
void Connection<Stream>::enqueue(std::string data) {
  unwritten_ += data.size();
  waiting_.push_back(std::move(data));
  // One answer may be larger; a client that takes nothing of many pieces is let go.
  if (unwritten_ > serving_.options.most_unread && waiting_.size() > 1) return leave();
  if (!is_writing_) write();
}

// Pieces that wait go together.
template <class Stream>
void Connection<Stream>::write() {
  writing_.clear();
  while (!waiting_.empty() && writing_.size() < kWriteSize) {
    writing_ += waiting_.front();
    waiting_.pop_front();
  }
  is_writing_ = true;
  write_deadline_.expires_after(serving_.options.body_timeout);
  write_deadline_.async_wait([weak = std::weak_ptr(self())](ErrorCode error) {
    if (const auto me = weak.lock(); me && !error && me->is_writing_) me->leave();
  });
  asio::async_write(stream_, asio::buffer(writing_),
                    [me = self()](ErrorCode error, size_t) { me->on_written(error); });
}

template <class Stream>
void Connection<Stream>::on_written(ErrorCode error) {
  is_writing_ = false;
  write_deadline_.cancel();
  if (state_ == State::kClosed) return;
  if (error) return leave();
  unwritten_ -= writing_.size();
  if (!waiting_.empty()) return write();
  if (state_ == State::kLingering) linger();
}

// The client gets the end of the answer before the end of the connection, even while it still sends.
template <class Stream>
void Connection<Stream>::linger() {
  ErrorCode ignored;
  socket().shutdown(tcp::socket::shutdown_send, ignored);
  set_deadline(kLingering);
  read();
}

template <class Stream>
void Connection<Stream>::leave() {
  const auto reply = reply_.lock();
  const bool answering = state_ == State::kAnswering;
  close();
  if (reply && answering) reply->client_has_gone();
}

template <class Stream>
void Connection<Stream>::drain() {
  if (state_ == State::kIdle) close();
}

template <class Stream>
void Connection<Stream>::close() {
  if (std::exchange(state_, State::kClosed) == State::kClosed) return;
  deadline_.cancel();
  write_deadline_.cancel();
  ErrorCode ignored;
  socket().close(ignored);
  waiting_.clear();
}

template <class Stream>
void Connection<Stream>::set_deadline(milliseconds time) {
  deadline_.expires_after(time);
  deadline_.async_wait([weak = std::weak_ptr(self())](ErrorCode error) {
    if (const auto me = weak.lock(); me && !error) me->on_deadline();
  });
}

template <class Stream>
void Connection<Stream>::on_deadline() {
  if (deadline_.expiry() > asio::steady_timer::clock_type::now()) return;  // it was moved meanwhile
  if (state_ == State::kHeaders) return refuse(408, "the headers took too long");
  if (state_ == State::kBody) return refuse(408, "the body took too long");
  if (state_ != State::kAnswering) close();
}

template class Connection<tcp::socket>;
template class Connection<asio::ssl::stream<tcp::socket>>;

}  // namespace lathe::http
