// Units of measurement.
#pragma once

#include <string_view>

namespace lathe {

// `value` of the unit `from` in the unit `to`: lengths, areas, volumes, masses, times, speeds, temperatures, energies,
// pressures, angles and amounts of data, by symbol or English name ("km", "mile", "celsius"; US gallons). Errors: kData,
// saying which units there are, for an unknown one, and naming both for units of different quantities.
double convert_units(double value, std::string_view from, std::string_view to);

}  // namespace lathe
