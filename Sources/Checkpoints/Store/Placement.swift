/// The rule by which every rank and tool assigns tensors to files.
public enum Placement {
  static let consolidated = "model.qck"

  /// The file of a slice: `part` as in `Manifest.Slice`.
  ///
  /// Elements that only rank r holds are in `rank-r.qck`, its rollouts in `rollouts.qck` (rank 0) or `rollouts-r.qck`.
  /// Otherwise mini-MoE m of N is in file ⌊m·F/N⌋ of F expert files, named by its first and last mini-MoE, and the rest
  /// in `replicated.qck`.
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

  /// The number of expert files that a run of `ranks` ranks writes: as many ranks as possible write at the same time,
  /// each only tensors that it holds.
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
