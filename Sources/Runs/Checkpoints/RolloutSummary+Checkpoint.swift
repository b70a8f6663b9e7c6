import Foundation
import Learning

extension RolloutSummary {
  /// The part that all ranks share, as numbers.
  package var numbers: [Double] { [Double(first), Double(rounds)] + records.flatMap(\.numbers) }

  /// This rank's part, as JSON.
  package var text: [UInt8] {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = Self.nonfinite
    guard let data = try? encoder.encode(LocalPart(samples: samples, figures: figures)) else {
      preconditionFailure("samples cannot be encoded as JSON")
    }
    return Array(data)
  }

  /// - Parameters:
  ///   - texts: the JSON parts of the ranks that this rank continues.
  ///   - isEarlier: whether the numbers are from before a reward could leave out a trajectory.
  /// - Returns: nil if the parts are inconsistent.
  package init?(numbers: [Double], names: [String], texts: [[UInt8]], isEarlier: Bool = false) {
    let width = RolloutRecord.width(parts: names.count) - (isEarlier ? names.count : 0)
    guard numbers.count >= 2, (numbers.count - 2).isMultiple(of: width), numbers.allSatisfy({ $0.isFinite }),
      let first = Int(exactly: numbers[0]), let rounds = Int(exactly: numbers[1]), first >= 0, rounds >= 0
    else { return nil }
    let rows = stride(from: 2, to: numbers.count, by: width).map {
      let row = Array(numbers[$0..<$0 + width])
      return isEarlier ? RolloutRecord.numbers(earlier: row, parts: names.count) : row
    }
    guard rows.allSatisfy(RolloutRecord.isValid) else { return nil }
    self.init(first: first, names: names)
    self.rounds = rounds
    records = rows.map(RolloutRecord.init(numbers:))
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    for text in texts {
      guard let part = try? decoder.decode(LocalPart.self, from: Data(text)) else { return nil }
      samples += part.samples
      figures += part.figures
    }
  }

  private static let nonfinite = JSONEncoder.NonConformingFloatEncodingStrategy.convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")

  private struct LocalPart: Codable {
    var samples: [CompletionSample]
    var figures: [RolloutPart.Figure]
  }
}
