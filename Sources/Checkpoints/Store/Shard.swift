import Foundation

/// A file of slices: a header, then stored slices without gaps. What they are, the manifest says.
public enum Shard {
  /// The first bytes of every `.qck` file.
  package static let header = Array("QUILLANQCK\0\0".utf8) + [1, 0, 0, 0]
}

/// Which file holds what: a rule that any rank and any tool applies alike.
public enum Placement {
  static let consolidated = "model.qck"

  /// The file of a slice: `part` as in `Manifest.Slice`.
  ///
  /// What rank r alone holds is in `rank-r.qck`, its rollouts in `rollouts.qck` (rank 0) or `rollouts-r.qck`. Otherwise mini-MoE m of N is in file ⌊m·F/N⌋ of F expert files, named by
  /// its first and last mini-MoE, and the rest in `replicated.qck`.
  public static func file(_ key: TensorKey, part: Int, expertFiles: Int, miniMoEs: Int) -> String {
    if expertFiles == 0 { return consolidated }
    if key.kind == .rollout { return part <= 1 ? "rollouts.qck" : "rollouts-\(part - 1).qck" }
    if part > 0 { return "rank-\(part - 1).qck" }
    if let number = key.miniMoE, number < miniMoEs {
      let index = number * expertFiles / miniMoEs
      let first = (index * miniMoEs + expertFiles - 1) / expertFiles
      let last = ((index + 1) * miniMoEs + expertFiles - 1) / expertFiles - 1
      return "experts-\(first)-\(last).qck"
    }
    return "replicated.qck"
  }

  /// How many expert files a run of `ranks` ranks writes, and which rank writes the file of mini-MoE m: as many ranks as
  /// possible write at the same time, each only what it holds.
  public static func expertFiles(ranks: Int, expertParallel: Int, miniMoEs: Int) -> Int {
    miniMoEs.isMultiple(of: ranks) ? ranks : expertParallel
  }

  /// The rank that writes a tensor; `part` as in `TensorPiece`.
  public static func writer(
    _ key: TensorKey, part: Int?, ranks: Int, expertParallel: Int, miniMoEs: Int
  ) -> Int {
    if let part { return part }
    guard key.kind != .rollout, let number = key.miniMoE else { return 0 }
    let files = expertFiles(ranks: ranks, expertParallel: expertParallel, miniMoEs: miniMoEs)
    let file = number * files / miniMoEs
    // Expert rank e holds the mini-MoEs of files e·D ..< (e+1)·D, D files each; group d of the D writes the d-th.
    let share = files / expertParallel
    return file % share * expertParallel + file / share
  }
}
