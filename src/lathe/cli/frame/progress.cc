#include "lathe/cli/frame/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "lathe/base/strings.h"

namespace lathe {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(5);
constexpr int kBarColumns = 20;

std::string amount(double value, std::string_view unit) {
  if (unit == "B") return human_bytes(value);
  return human_count(value);
}

std::string counts(const ProgressState& s) {
  std::string text = amount(s.done, s.unit);
  if (s.total > 0) text += fmt::format("/{}", amount(s.total, s.unit));
  if (!s.unit.empty() && s.unit != "B") text += fmt::format(" {}", s.unit);
  if (s.seconds > 0) {
    const double rate = s.done / s.seconds;
    text +=
        "  " + (rate < 10 && s.unit != "B" ? fmt::format("{:.2f}", rate) : amount(rate, s.unit));
    text += "/s";
    if (s.total > 0 && s.done > 0 && s.done < s.total)
      text += fmt::format("  eta {}", human_time((s.total - s.done) / rate));
    else
      text += fmt::format("  {}", human_time(s.seconds));
  }
  if (!s.note.empty()) text += fmt::format("  {}", s.note);
  return text;
}

double fraction(const ProgressState& s) {
  return s.total > 0 ? std::clamp(s.done / s.total, 0.0, 1.0) : 0.0;
}

// A bar of `columns` columns in eighths of a column.
std::string drawn_bar(double part, int columns) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::floor(part * columns * 8));
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kEighths[eighths % 8];
  for (int i = (eighths + 7) / 8; i < columns; ++i) bar += " ";
  return bar;
}

// The first `columns` characters of UTF-8 text, each taken as one column.
std::string shortened(const std::string& text, int columns) {
  int seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (seen++ == columns) return text.substr(0, i);
  }
  return text;
}

}  // namespace

ProgressStyle progress_style_for(int file_descriptor, std::ostream& out) {
  if (!::isatty(file_descriptor)) return {ProgressStyle::Kind::kLines, &out};
  winsize size{};
  const bool known = ::ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return {ProgressStyle::Kind::kBar, &out, known ? size.ws_col : 80};
}

std::string progress_bar(const ProgressState& s, int width) {
  std::string text(s.label);
  if (s.total > 0)
    text += fmt::format(" {:3.0f}% {}", std::floor(100 * fraction(s)),
                        drawn_bar(fraction(s), kBarColumns));
  return shortened(fmt::format("{} {}", text, counts(s)), std::max(width - 1, 1));
}

std::string progress_line(const ProgressState& s) {
  const std::string percent =
      s.total > 0 ? fmt::format(" {:.0f}%", std::floor(100 * fraction(s))) : std::string();
  return fmt::format("{}{}  {}", s.label, percent, counts(s));
}

Progress::Progress(const ProgressStyle& style, std::string label, double total, std::string unit)
    : style_(style),
      label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      start_(Clock::now()),
      next_draw_(start_ + (style.kind == ProgressStyle::Kind::kLines ? Clock::duration(kLineEvery)
                                                                     : Clock::duration(kRedraw))) {}

Progress::~Progress() {
  if (line_open_) *style_.out << '\n' << std::flush;
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::update(double done, std::string_view note) {
  done_ = done;
  note_ = note;
  if (style_.kind == ProgressStyle::Kind::kOff || Clock::now() < next_draw_) return;
  draw(false);
}

void Progress::finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  if (!note.empty()) note_ = note;
  if (total_ > 0) done_ = total_;
  if (style_.kind != ProgressStyle::Kind::kOff) draw(true);
}

void Progress::draw(bool last) {
  const ProgressState state{label_, done_, total_, unit_, seconds(), note_};
  if (style_.kind == ProgressStyle::Kind::kBar) {
    // Carriage return, text, erase to the end of the line: no flicker.
    *style_.out << '\r' << progress_bar(state, style_.width) << "\x1b[K" << (last ? "\n" : "")
                << std::flush;
    line_open_ = !last;
    next_draw_ = Clock::now() + kRedraw;
  } else {
    *style_.out << progress_line(state) << '\n' << std::flush;
    next_draw_ = Clock::now() + kLineEvery;
  }
}

}  // namespace lathe
