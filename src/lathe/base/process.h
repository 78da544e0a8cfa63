// Facts about this process and the machine under it.
#pragma once

#include <cstdint>
#include <optional>

namespace lathe {

// The most memory this process has had in RAM so far, bytes.
int64_t peak_resident_bytes();

// RAM of the machine, bytes; 0 where the system does not say.
int64_t physical_memory_bytes();

// Cores that the system has, whoever uses them.
int processor_count();
// The clock of the first core now, in Hz; 0 where the system does not say.
double processor_hertz();
// Processes that ran or wanted to, the mean of the last minute; nullopt where the system does not
// say.
std::optional<double> load_average();

}  // namespace lathe
