// A client that sends what it is told, byte for byte.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lathe::testing {

struct RawAnswer {
  int status = 0;                                   // 0: the connection ended before an answer
  std::map<std::string, std::string> headers = {};  // names in small letters
  std::string body = {};
};

class RawClient {
 public:
  explicit RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0)
      throw std::runtime_error("connect");
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // Stops silently where the server does not listen any more.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void end_sending() { ::shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  // The next answer; `head`: without a body, whatever its headers say.
  RawAnswer answer(bool head = false) {
    RawAnswer out;
    const std::string start = line();
    if (!start.starts_with("HTTP/1.")) return out;
    out.status = std::stoi(start.substr(9, 3));
    for (std::string l = line(); !l.empty(); l = line()) {
      const size_t colon = l.find(": ");
      std::string name = l.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      out.headers[name] = l.substr(colon + 2);
    }
    if (head || out.status == 204 || out.status == 100) return out;
    if (out.headers.count("transfer-encoding") != 0) {
      for (size_t size = std::stoul("0" + line(), nullptr, 16); size > 0;
           size = std::stoul("0" + line(), nullptr, 16)) {
        out.body += take(size);
        line();
      }
      line();
    } else if (out.headers.count("content-length") != 0) {
      out.body = take(std::stoul(out.headers["content-length"]));
    } else {
      while (more()) {
      }
      out.body = std::exchange(read_, {});
    }
    return out;
  }
  // Whether the server has ended the connection; false where it is silent.
  bool ended() {
    while (more()) {
    }
    return read_.empty() && !silent_;
  }

 private:
  bool more() {
    char buffer[65536];
    const ssize_t n = ::recv(socket_, buffer, sizeof(buffer), 0);
    if (n > 0) read_.append(buffer, static_cast<size_t>(n));
    silent_ = n < 0 && errno != ECONNRESET;
    return n > 0;
  }
  std::string line() {
    while (read_.find("\r\n") == std::string::npos)
      if (!more()) return std::exchange(read_, {});
    const size_t end = read_.find("\r\n");
    std::string out = read_.substr(0, end);
    read_.erase(0, end + 2);
    return out;
  }
  std::string take(size_t size) {
    while (read_.size() < size && more()) {
    }
    std::string out = read_.substr(0, size);
    read_.erase(0, out.size());
    return out;
  }

  int socket_;
  std::string read_;
  bool silent_ = false;
};

}  // namespace lathe::testing
