import Checkpoints
import Formats
import Learning
import Rollouts

/// The state of the difficulty samplers in a checkpoint.
///
/// Of source s (its number, from 0) with n measured prompts, on rank 0: `sampler.s.digests` I64 [n], ascending as
/// unsigned numbers, `sampler.s.rates` F64 [n], and `sampler.s.drawn` I64 [2m]: number and visit of the m draws of the
/// last rollout. The counters `sampler.s.first` and `sampler.s.next` are the visits of that rollout.
enum CurriculumPieces {
  static func counters(_ curriculum: PromptCurriculum) -> [String: Int] {
    var counters: [String: Int] = [:]
    for (number, entry) in curriculum.samplers.enumerated() {
      counters["sampler.\(number).first"] = entry.sampler.state.first
      counters["sampler.\(number).next"] = entry.sampler.state.next
    }
    return counters
  }

  static func pieces(_ curriculum: PromptCurriculum, rank: Int) -> [TensorPiece] {
    guard rank == 0 else { return [] }
    return curriculum.samplers.enumerated().flatMap { number, entry in
      let state = entry.sampler.state
      let rates = state.rates.sorted { $0.key < $1.key }
      let drawn = state.drawn.sorted { $0.key < $1.key }.flatMap { [Int64($0.key), Int64($0.value)] }
      func piece<Element: BitwiseCopyable>(
        _ name: String, _ type: SafetensorsDataType, _ elements: [Element]
      ) -> TensorPiece {
        TensorPiece(key(number, name), type, [elements.count], part: 0, elements: elements)
      }
      return [
        piece("digests", .int64, rates.map { Int64(bitPattern: $0.key) }), piece("rates", .float64, rates.map(\.value)),
        piece("drawn", .int64, drawn),
      ]
    }
  }

  private static func key(_ number: Int, _ name: String) -> TensorKey {
    TensorKey("sampler.\(number).\(name)", .rollout)
  }

  /// Restores the state of the samplers.
  ///
  /// - Throws: `CheckpointError` if the checkpoint has no valid state.
  static func restore(_ curriculum: PromptCurriculum, from reader: CheckpointReader) throws {
    for (number, entry) in curriculum.samplers.enumerated() {
      var state = DifficultySampler.State()
      state.first = try reader.counter("sampler.\(number).first")
      state.next = try reader.counter("sampler.\(number).next")
      let digests = try reader.array(key(number, "digests"), .int64, of: Int64.self)
      let rates = try reader.array(key(number, "rates"), .float64, of: Double.self)
      let drawn = try reader.array(key(number, "drawn"), .int64, of: Int64.self)
      guard digests.count == rates.count, rates.allSatisfy({ (0...1).contains($0) }), drawn.count.isMultiple(of: 2),
        0...state.next ~= state.first, drawn.allSatisfy({ $0 >= 0 }), Set(digests).count == digests.count
      else {
        throw CheckpointError(
          .inconsistentLayout, path: reader.path, tensor: "sampler.\(number)", problem: "is not a valid sampler state",
          remedy: "use an earlier checkpoint")
      }
      for (digest, rate) in zip(digests, rates) { state.rates[UInt64(bitPattern: digest)] = rate }
      for index in stride(from: 0, to: drawn.count, by: 2) { state.drawn[Int(drawn[index])] = Int(drawn[index + 1]) }
      entry.sampler.state = state
    }
  }
}
