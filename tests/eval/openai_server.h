// A server of this process with OpenAI's interface, which says what a test wants.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace lathe::testing {

// Answers one request after the other, each on a connection of its own.
class Server {
 public:
  struct Reply {
    int status = 200;
    std::string body, headers = {};
  };
  explicit Server(std::function<Reply(size_t number, const nlohmann::ordered_json& request)> reply)
      : reply_(std::move(reply)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* at = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, at, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, at, &size) != 0)
      throw std::runtime_error("no server");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/"; }
  std::vector<nlohmann::ordered_json> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<std::string> heads() {
    const std::lock_guard lock(mutex_);
    return heads_;
  }

 private:
  void serve() {
    while (!ending_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      answer(connection);
      ::close(connection);
    }
  }

  void answer(int connection) {
    std::string text;
    char buffer[4096];
    size_t body = std::string::npos, length = 0;
    while (body == std::string::npos || text.size() < body + length) {
      const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      text.append(buffer, static_cast<size_t>(got));
      if (const size_t end = text.find("\r\n\r\n"); end != std::string::npos) {
        body = end + 4;
        length = std::stoul(text.substr(text.find("Content-Length:") + 15));
      }
    }
    const nlohmann::ordered_json request = nlohmann::ordered_json::parse(text.substr(body));
    size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = requests_.size();
      requests_.push_back(request);
      heads_.push_back(text.substr(0, body));
    }
    const Reply reply = reply_(number, request);
    const std::string out =
        "HTTP/1.1 " + std::to_string(reply.status) + " x\r\nConnection: close\r\n" + reply.headers +
        "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
    ::send(connection, out.data(), out.size(), MSG_NOSIGNAL);
  }

  std::function<Reply(size_t, const nlohmann::ordered_json&)> reply_;
  int listener_;
  uint16_t port_ = 0;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::vector<nlohmann::ordered_json> requests_;
  std::vector<std::string> heads_;
  std::thread thread_;
};

// The body of an answer with these texts.
inline std::string completion(const std::vector<std::string>& texts) {
  nlohmann::ordered_json choices = nlohmann::ordered_json::array();
  for (const std::string& text : texts)
    choices.push_back({{"message", {{"role", "assistant"}, {"content", text}}}});
  return nlohmann::ordered_json{{"choices", choices}}.dump();
}

}  // namespace lathe::testing
