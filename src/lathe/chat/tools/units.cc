#include "lathe/chat/tools/units.h"

#include <algorithm>
#include <string>

#include "lathe/base/error.h"

namespace lathe {
namespace {

// value · factor + offset is in the quantity's own unit. Factors of the international yard and pound (1959), the
// thermochemical calorie, and the US gallon are exact by definition.
struct Unit {
  std::string_view quantity;
  std::string_view names;  // with blanks between them
  double factor, offset = 0;
};

constexpr Unit kUnits[] = {
    {"length", "m meter metre meters metres", 1},
    {"length", "km kilometer kilometre kilometers kilometres", 1e3},
    {"length", "dm decimeter decimetre", 1e-1},
    {"length", "cm centimeter centimetre centimeters centimetres", 1e-2},
    {"length", "mm millimeter millimetre millimeters millimetres", 1e-3},
    {"length", "um µm micrometer micrometre", 1e-6},
    {"length", "nm nanometer nanometre", 1e-9},
    {"length", "in inch inches", 0.0254},
    {"length", "ft foot feet", 0.3048},
    {"length", "yd yard yards", 0.9144},
    {"length", "mi mile miles", 1609.344},
    {"length", "nmi nautical_mile", 1852},
    {"area", "m2 m² square_meter", 1},
    {"area", "km2 km² square_kilometer", 1e6},
    {"area", "cm2 cm² square_centimeter", 1e-4},
    {"area", "ha hectare hectares", 1e4},
    {"area", "ft2 square_foot square_feet", 0.09290304},
    {"area", "acre acres", 4046.8564224},
    {"volume", "l L liter litre liters litres", 1},
    {"volume", "ml mL milliliter millilitre milliliters", 1e-3},
    {"volume", "cl cL centiliter", 1e-2},
    {"volume", "m3 m³ cubic_meter", 1e3},
    {"volume", "cm3 cm³ cubic_centimeter", 1e-3},
    {"volume", "gal gallon gallons", 3.785411784},
    {"volume", "qt quart quarts", 0.946352946},
    {"volume", "pt pint pints", 0.473176473},
    {"volume", "cup cups", 0.2365882365},
    {"volume", "fl_oz floz fluid_ounce", 0.0295735295625},
    {"mass", "kg kilogram kilograms", 1},
    {"mass", "g gram grams", 1e-3},
    {"mass", "mg milligram milligrams", 1e-6},
    {"mass", "t tonne tonnes", 1e3},
    {"mass", "lb lbs pound pounds", 0.45359237},
    {"mass", "oz ounce ounces", 0.028349523125},
    {"mass", "st stone", 6.35029318},
    {"time", "s sec second seconds", 1},
    {"time", "ms millisecond milliseconds", 1e-3},
    {"time", "min minute minutes", 60},
    {"time", "h hr hour hours", 3600},
    {"time", "d day days", 86400},
    {"time", "week weeks", 604800},
    {"speed", "m/s mps", 1},
    {"speed", "km/h kmh kph", 1 / 3.6},
    {"speed", "mph mi/h", 0.44704},
    {"speed", "kn knot knots", 1852.0 / 3600},
    {"temperature", "K kelvin", 1},
    {"temperature", "C °C celsius", 1, 273.15},
    {"temperature", "F °F fahrenheit", 5.0 / 9, 273.15 - 32 * 5.0 / 9},
    {"energy", "J joule joules", 1},
    {"energy", "kJ kilojoule kilojoules", 1e3},
    {"energy", "cal calorie calories", 4.184},
    {"energy", "kcal kilocalorie kilocalories", 4184},
    {"energy", "Wh watt_hour", 3600},
    {"energy", "kWh kilowatt_hour", 3.6e6},
    {"pressure", "Pa pascal", 1},
    {"pressure", "kPa kilopascal", 1e3},
    {"pressure", "bar", 1e5},
    {"pressure", "atm atmosphere", 101325},
    {"angle", "rad radian radians", 1},
    {"angle", "deg ° degree degrees", 3.14159265358979323846 / 180},
    {"data", "B byte bytes", 1},
    {"data", "bit bits", 0.125},
    {"data", "kB kilobyte", 1e3},
    {"data", "MB megabyte", 1e6},
    {"data", "GB gigabyte", 1e9},
    {"data", "TB terabyte", 1e12},
    {"data", "KiB kibibyte", 1024.0},
    {"data", "MiB mebibyte", 1024.0 * 1024},
    {"data", "GiB gibibyte", 1024.0 * 1024 * 1024},
};

bool has_name(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const size_t end = std::min(names.find(' '), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// By its name as it is written, since "mg" and "Mg" differ, else in lower case.
const Unit& find_unit(std::string_view name) {
  for (const std::string& each : {std::string(name), lower(name)})
    for (const Unit& unit : kUnits)
      if (!each.empty() && has_name(unit.names, each)) return unit;
  std::string known;
  for (const Unit& unit : kUnits)
    known += (known.empty() ? "" : ", ") + std::string(unit.names.substr(0, unit.names.find(' ')));
  fail(ErrorKind::kData, "units", "'{}' is no known unit; there are {}", name.substr(0, 40), known);
}

}  // namespace

double convert_units(double value, std::string_view from, std::string_view to) {
  const Unit &a = find_unit(from), &b = find_unit(to);
  require(a.quantity == b.quantity, ErrorKind::kData, "units",
          "'{}' is a {} and '{}' is a {}; only units of one quantity can be converted", from,
          a.quantity, to, b.quantity);
  return (value * a.factor + a.offset - b.offset) / b.factor;
}

}  // namespace lathe
