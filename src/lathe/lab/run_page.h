// A training run as one self-contained HTML page: curves, stages, samples, recipe, machine,
// lineage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lathe/lab/run_data.h"
#include "lathe/report/chart.h"

namespace lathe {

struct NamedChart {
  std::string name;  // "loss"; as a file: loss.svg
  ChartSpec spec;
};

// Loss, bits per byte, learning rate, gradient norm, tokens per second and the metrics of tasks, if the run has numbers
// for them.
std::vector<NamedChart> run_charts(const RunData& run);

std::string report_page(const RunData& run);

// Reads the run and writes the page to `file`, atomically. Errors as read_run().
void write_report(const std::filesystem::path& run, const std::filesystem::path& file);

}  // namespace lathe
