import Foundation

/// A grid of values as an image with one pixel per value and one column per step. The colours from dark violet over teal to
/// yellow are distinguishable on light and dark pages and for colour-blind readers.
///
/// The image is a PNG in a data URI. Its pixels are the values in units of 1/255 of the maximum, which the script of the page
/// reads back.
package struct HeatMap {
  /// [row][column]
  let values: [[Double]]
  /// The value of the last colour; the first colour is 0.
  let highest: Double
  /// Maximum number of columns; more steps are averaged.
  private static let maximumColumns = 240

  package init(values: [[Double]], highest: Double) {
    self.values = values
    self.highest = highest
  }

  /// The `src` of an `img`.
  var source: String { "data:image/png;base64," + Data(png).base64EncodedString() }

  /// The colour of a fraction of the range, in CSS.
  static func css(_ share: Double) -> String {
    let colour = Self.colour(share)
    return "rgb(\(colour.red),\(colour.green),\(colour.blue))"
  }

  /// The number of steps per column.
  static func stretch(_ steps: Int) -> Int { max(1, (steps + maximumColumns - 1) / maximumColumns) }

  /// Columns of the image.
  var columns: Int { ((values.first?.count ?? 0) + stretch - 1) / stretch }

  private var stretch: Int { Self.stretch(values.first?.count ?? 0) }

  private var rows: [[Double]] {
    values.map { row in
      stride(from: 0, to: row.count, by: stretch).map { start in
        let part = row[start..<min(row.count, start + stretch)]
        return part.reduce(0, +) / Double(part.count)
      }
    }
  }

  /// Anchors of the viridis colour map (van der Walt and Smith, 2015).
  private static let anchors: [(red: Double, green: Double, blue: Double)] = [
    (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99),
    (170, 220, 50), (253, 231, 37),
  ]

  private static func colour(_ share: Double) -> (red: Int, green: Int, blue: Int) {
    let position = min(1, max(0, share)) * Double(anchors.count - 1)
    let index = min(anchors.count - 2, Int(position))
    let rest = position - Double(index)
    let (a, b) = (anchors[index], anchors[index + 1])
    func mix(_ from: Double, _ to: Double) -> Int { Int((from + (to - from) * rest).rounded()) }
    return (mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue))
  }

  /// The offset of the first row in the PNG: after the signature, the header, the palette, and the headers of the data chunk,
  /// its zlib stream and the first stored block.
  package static let firstPixel = 8 + (12 + 13) + (12 + 768) + 8 + 2 + 5

  /// The image as PNG (RFC 2083): 8 bits per pixel, a palette of 256 colours, no compression.
  package var png: [UInt8] {
    let rows = rows
    let width = rows.first?.count ?? 0
    var raw: [UInt8] = []
    for row in rows {
      raw.append(0)
      for value in row {
        let share = value / max(highest, 1e-12)
        raw.append(share.isFinite ? UInt8((min(1, max(0, share)) * 255).rounded()) : 0)
      }
    }
    let palette = (0..<256).flatMap { index in
      let colour = Self.colour(Double(index) / 255)
      return [UInt8(colour.red), UInt8(colour.green), UInt8(colour.blue)]
    }
    var result: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    result += Self.chunk("IHDR", Self.bytes(UInt32(width)) + Self.bytes(UInt32(rows.count)) + [8, 3, 0, 0, 0])
    result += Self.chunk("PLTE", palette)
    result += Self.chunk("IDAT", Self.stored(raw))
    return result + Self.chunk("IEND", [])
  }

  private static func bytes(_ value: UInt32) -> [UInt8] {
    [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
  }

  private static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + content
    return bytes(UInt32(content.count)) + body + bytes(crc(body))
  }

  /// A zlib stream of uncompressed blocks (RFC 1950 and 1951).
  private static func stored(_ raw: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x78, 0x01]
    var start = 0
    repeat {
      let end = min(raw.count, start + 65535)
      let count = end - start
      result += [end == raw.count ? 1 : 0, UInt8(count & 0xFF), UInt8(count >> 8)]
      result += [UInt8(~count & 0xFF), UInt8(~count >> 8 & 0xFF)]
      result += raw[start..<end]
      start = end
    } while start < raw.count
    var (low, high): (UInt32, UInt32) = (1, 0)
    for byte in raw {
      low = (low + UInt32(byte)) % 65521
      high = (high + low) % 65521
    }
    return result + bytes(high << 16 | low)
  }

  private static func crc(_ bytes: [UInt8]) -> UInt32 {
    var value: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    return ~value
  }
}
