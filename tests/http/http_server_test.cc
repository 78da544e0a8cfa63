// The server as a client on a socket meets it, polite or not.
#include "lathe/http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "http/raw_client.h"
#include "lathe/base/error.h"

namespace lathe {
namespace {

using std::chrono::milliseconds;
using testing::RawAnswer;
using testing::RawClient;

// What a handler was given for later.
struct Held {
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<HttpReply> reply;
  bool gone = false;

  std::shared_ptr<HttpReply> wait() {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(20), [&] { return reply != nullptr; });
    return reply;
  }
  bool wait_until_gone() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return gone; });
  }
};

class Http : public ::testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    options.port = 0;
    server_ = std::make_unique<HttpServer>(
        std::move(options),
        [this](HttpRequest r, std::shared_ptr<HttpReply> reply) { handle(std::move(r), reply); },
        Log());
    thread_ = std::thread([this] { server_->run(); });
  }
  ~Http() override { stop(); }
  void stop() {
    if (!server_) return;
    server_->stop();
    if (thread_.joinable()) thread_.join();
    held_.reply.reset();
    server_.reset();
  }
  void handle(HttpRequest r, const std::shared_ptr<HttpReply>& reply) {
    if (r.path == "/echo")
      reply->send({.headers = {{"Content-Type", "text/plain"}},
                   .body = r.method + " " + r.query + " " + r.body});
    else if (r.path == "/throw")
      throw std::runtime_error("a secret");
    else if (r.path == "/stream") {
      reply->begin({.body = "a"});
      for (const char* piece : {"b", "", "c"}) reply->write(piece);
      reply->end();
    } else if (r.path == "/hold") {
      reply->on_gone([this] {
        const std::lock_guard lock(held_.mutex);
        held_.gone = true;
        held_.changed.notify_all();
      });
      const std::lock_guard lock(held_.mutex);
      held_.reply = reply;
      held_.changed.notify_all();
    } else if (r.path != "/forget") {
      reply->send({.status = 404, .body = "nothing"});
    }
  }
  static std::string get(const std::string& path, const std::string& more = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
  }
  static std::string post(const std::string& body, const std::string& more = "") {
    return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
  }
  RawAnswer ask(const std::string& bytes) {
    RawClient client(server_->port());
    client.send(bytes);
    return client.answer();
  }

  Held held_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(Http, RequestsOfOneConnectionAreAnsweredInOrder) {
  start();
  RawClient client(server_->port());
  client.send(get("/echo?a=1") + post("two") + get("/stream") + get("/none"));
  EXPECT_EQ(client.answer().body, "GET a=1 ");
  EXPECT_EQ(client.answer().body, "POST  two");
  const RawAnswer stream = client.answer();
  EXPECT_EQ(stream.body, "abc");
  EXPECT_EQ(stream.headers.at("transfer-encoding"), "chunked");
  EXPECT_EQ(client.answer().status, 404);
  for (const char c : get("/echo?slow")) client.send(std::string(1, c));
  EXPECT_EQ(client.answer().body, "GET slow ");
}

TEST_F(Http, BodiesInChunksAndAfterTheServerAgrees) {
  start();
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(ask(head + "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n").body, "POST  abcde");
  EXPECT_EQ(ask(head + "zz\r\nab\r\n").status, 400);
  RawClient client(server_->port());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send("ok");
  EXPECT_EQ(client.answer().body, "POST  ok");
}

TEST_F(Http, HeadHasNoBodyAndOldClientsGetAnEnd) {
  start();
  RawClient client(server_->port());
  client.send("HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/echo"));
  EXPECT_EQ(client.answer(/*head=*/true).status, 200);
  EXPECT_EQ(client.answer().body, "GET  ");
  RawClient old(server_->port());
  old.send("GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n");
  const RawAnswer a = old.answer();
  EXPECT_EQ(a.body, "abc");
  EXPECT_EQ(a.headers.count("transfer-encoding"), 0u);
  RawClient closing(server_->port());
  closing.send(get("/echo", "Connection: close\r\n"));
  EXPECT_EQ(closing.answer().headers.at("connection"), "close");
  EXPECT_TRUE(closing.ended());
}

// Each could be read in two ways, by a proxy in one and here in the other.
TEST_F(Http, RequestsThatCanBeReadInTwoWaysAreRefused) {
  start();
  const std::string line = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string& bad :
       {line + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        line + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        line + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        line + "Transfer-Encoding: gzip, chunked\r\n\r\n",
        line + "Transfer-Encoding: identity\r\n\r\n", line + "Content-Length: -5\r\n\r\n",
        line + "Content-Length : 2\r\n\r\nab", line + "Host: localhost\r\n\r\n",
        std::string("GET /echo HTTP/1.1\r\n\r\n"), std::string("\x16\x03\x01 rubbish\r\n\r\n")}) {
    RawClient client(server_->port());
    client.send(bad);
    EXPECT_EQ(client.answer().status, 400) << bad;
    EXPECT_TRUE(client.ended()) << bad;
  }
  const int of_another_version = ask("GET /echo HTTP/9.9\r\nHost: localhost\r\n\r\n").status;
  EXPECT_TRUE(of_another_version == 400 || of_another_version == 505) << of_another_version;
}

TEST_F(Http, SizesAreLimited) {
  start({.most_header_bytes = 4096, .most_body_bytes = 1000});
  EXPECT_EQ(ask(get("/echo", "X: " + std::string(8000, 'a') + "\r\n")).status, 431);
  EXPECT_EQ(
      ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n").status,
      413);
  EXPECT_EQ(ask(post(std::string(1000, 'b'))).status, 200);
  RawClient client(server_->port());
  client.send(post(std::string(4 << 20, 'b')));  // sent all the same
  EXPECT_EQ(client.answer().status, 413);
}

TEST_F(Http, ForeignPagesAreRefused) {
  start({.allowed_hosts = {"my.name"}, .cors_origins = {"http://app.example"}});
  const auto status = [&](const std::string& host) {
    return ask("GET /echo HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
  };
  for (const char* good :
       {"localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:5", "my.name", "localhost."})
    EXPECT_EQ(status(good), 200) << good;
  for (const char* bad : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example"})
    EXPECT_EQ(status(bad), 403) << bad;
  const std::string asks =
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
  const auto preflight = [&](const std::string& origin) {
    return ask("OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + "\r\n" + asks +
               "\r\n");
  };
  const RawAnswer a = preflight("http://app.example");
  EXPECT_EQ(a.status, 204);
  EXPECT_EQ(a.headers.at("access-control-allow-origin"), "http://app.example");
  EXPECT_EQ(a.headers.at("access-control-allow-headers"), "authorization");
  EXPECT_EQ(a.headers.at("vary"), "Origin");
  for (const char* bad : {"http://app.example.evil", "null", "http://evil.example"})
    EXPECT_EQ(preflight(bad).headers.count("access-control-allow-origin"), 0u) << bad;
}

TEST_F(Http, SlowClientsEnd) {
  start({.header_timeout = milliseconds(200),
         .body_timeout = milliseconds(200),
         .idle_timeout = milliseconds(200)});
  RawClient slow(server_->port()), stuck(server_->port()), idle(server_->port());
  slow.send("GET /echo HTTP/1.1\r\nHo");
  stuck.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_EQ(slow.answer().status, 408);
  EXPECT_TRUE(slow.ended());
  EXPECT_EQ(stuck.answer().status, 408);
  EXPECT_TRUE(idle.ended());
}

TEST_F(Http, ManyStuckClientsHoldNobodyUp) {
  start();
  std::vector<std::unique_ptr<RawClient>> stuck;
  for (int i = 0; i < 200; ++i) {
    stuck.push_back(std::make_unique<RawClient>(server_->port()));
    stuck.back()->send("POST /echo HTTP/1.1\r\nHost: x");
  }
  EXPECT_EQ(ask(get("/echo?there")).body, "GET there ");
}

TEST_F(Http, AClientThatLeavesIsNoticed) {
  for (const bool streams : {false, true})
    for (const bool only_half : {false, true}) {
      start();
      RawClient client(server_->port());
      client.send(get("/hold"));
      const auto reply = held_.wait();
      ASSERT_TRUE(reply);
      if (streams) reply->begin({.body = "first"});
      only_half ? client.end_sending() : client.close();
      EXPECT_TRUE(held_.wait_until_gone()) << streams << only_half;
      EXPECT_TRUE(reply->gone());
      reply->write("nobody reads this");
      reply->end();
      stop();
      held_.gone = false;
    }
}

TEST_F(Http, AReaderThatDoesNotReadCostsABoundedBuffer) {
  start({.most_unread = 1 << 20});
  RawClient client(server_->port());
  client.send(get("/hold"));
  const auto reply = held_.wait();
  ASSERT_TRUE(reply);
  reply->begin({});
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 1000 && !reply->gone(); ++i) reply->write(piece);
  EXPECT_TRUE(held_.wait_until_gone());
}

TEST_F(Http, HandlersThatFailAreInternalErrors) {
  start();
  RawClient client(server_->port());
  client.send(get("/throw") + get("/forget") + get("/echo"));
  const RawAnswer a = client.answer();
  EXPECT_EQ(a.status, 500);
  EXPECT_EQ(a.body.find("secret"), std::string::npos);
  EXPECT_EQ(client.answer().status, 500);
  EXPECT_EQ(client.answer().status, 200);
}

TEST_F(Http, DrainingLetsOpenAnswersEnd) {
  start();
  RawClient busy(server_->port()), idle(server_->port());
  busy.send(get("/hold"));
  const auto reply = held_.wait();
  ASSERT_TRUE(reply);
  reply->begin({.body = "begun, "});
  server_->drain();
  EXPECT_TRUE(idle.ended());
  reply->write("ended");
  reply->end();
  EXPECT_EQ(busy.answer().body, "begun, ended");
  EXPECT_TRUE(busy.ended());
  busy.close();
  held_.reply.reset();
  thread_.join();
  EXPECT_THROW(RawClient(server_->port()), std::exception);
}

TEST_F(Http, APortInUseIsSaid) {
  start();
  HttpServerOptions options;
  options.port = server_->port();
  try {
    const HttpServer other(
        options, [](HttpRequest, const std::shared_ptr<HttpReply>&) {}, Log());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_NE(std::string(error.what()).find("give another --port"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace lathe
