/// Smooths curves and reduces their number of points for drawing.
package enum CurveSmoothing {
  package typealias Point = (x: Double, y: Double)

  /// The window in points over which the bold curve averages; 1 for a short curve.
  package static func window(_ count: Int) -> Int { count < 60 ? 1 : count / 30 }

  /// The mean of the finite values in a window centred on each point.
  ///
  /// Near the ends the window shrinks symmetrically, so that a straight line is unchanged and the first and last values are
  /// kept. A window truncated on one side would move the ends towards the middle.
  package static func smoothed(_ points: [Point], window: Int) -> [Point] {
    var sums = [0.0]
    var counts = [0]
    for point in points {
      sums.append(sums[sums.count - 1] + (point.y.isFinite ? point.y : 0))
      counts.append(counts[counts.count - 1] + (point.y.isFinite ? 1 : 0))
    }
    return points.indices.map { index in
      let reach = min(window / 2, index, points.count - 1 - index)
      let (first, end) = (index - reach, index + reach + 1)
      if reach == 0 { return points[index] }
      let count = counts[end] - counts[first]
      return (points[index].x, count > 0 ? (sums[end] - sums[first]) / Double(count) : .nan)
    }
  }

  /// At most `limit` points: the minimum and maximum of each interval, so that no peak is lost.
  package static func thinned(_ points: [Point], limit: Int) -> [Point] {
    guard points.count > limit else { return points }
    let stretch = (2 * points.count + limit - 1) / limit
    return stride(from: 0, to: points.count, by: stretch).flatMap { start in
      let part = points[start..<min(points.count, start + stretch)].filter { $0.y.isFinite }
      let ends = [part.min { $0.y < $1.y }, part.max { $0.y < $1.y }].compactMap { $0 }
      return ends.sorted { $0.x < $1.x }
    }
  }

  /// At most `limit` + 1 equally spaced points, including the last one.
  package static func sampled(_ points: [Point], limit: Int) -> [Point] {
    guard points.count > limit else { return points }
    let stretch = (points.count + limit - 1) / limit
    var indices = Array(stride(from: 0, to: points.count, by: stretch))
    if indices.last != points.count - 1 { indices.append(points.count - 1) }
    return indices.map { points[$0] }
  }
}
