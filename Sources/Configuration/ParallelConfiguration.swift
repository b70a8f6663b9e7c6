import Parameters

/// How ranks and threads share the work (the `parallel` section).
public struct ParallelConfiguration: Sendable, Equatable {
  /// Threads per rank; 0 means the usable cores of the node divided by its ranks.
  public var threads = 0
  /// P, the number of ranks in an expert group: each owns 1/P of the mini-MoEs.
  public var expert = 1
  /// Whether gradients are summed in fixed point, so that the weights do not depend on the layout.
  public var reproducible = false
  /// Maximum seconds of a collective before the run is ended.
  public var timeout = 300

  /// The defaults.
  public init() {}

  /// Checks that `ranks` ranks can form expert groups.
  ///
  /// - Throws: `ConfigurationError` located at `file`, naming the sizes that are possible.
  public func validate(file: String, ranks: Int, miniMoEs: Int) throws(ConfigurationError) {
    let valid = Ownership.validSizes(ranks: ranks, miniMoEs: miniMoEs)
    guard !valid.contains(expert) else { return }
    throw ConfigurationError(
      ConfigurationLocation(source: file),
      "parallel.expert is \(expert), which does not divide both \(ranks) ranks and \(miniMoEs) mini-MoEs",
      remedy: "set it to \(Self.choices(valid))")
  }

  /// "1, 2 or 4".
  static func choices(_ sizes: [Int]) -> String {
    let names = sizes.map(String.init)
    return names.count < 2
      ? names.joined() : "\(names.dropLast().joined(separator: ", ")) or \(names[names.count - 1])"
  }
}
