import Errors
import Reports
import Testing

@Suite struct CurveTests {
  @Test("Smoothing leaves a straight line unchanged for every window", arguments: [2, 15, 40])
  func line(window: Int) {
    let points = (0..<100).map { (x: Double($0), y: 3 * Double($0) - 7) }
    let smooth = CurveSmoothing.smoothed(points, window: window)
    #expect(zip(points, smooth).allSatisfy { abs($0.y - $1.y) < 1e-9 && $0.x == $1.x })
  }

  @Test("Smoothing keeps the first and last value and leaves a gap where no value is finite")
  func ends() {
    var points = (0..<90).map { (x: Double($0), y: $0 % 2 == 0 ? 1.0 : 0) }
    for index in 30..<50 { points[index].y = .nan }
    let smooth = CurveSmoothing.smoothed(points, window: 6)
    #expect(smooth[0].y == 1 && smooth[89].y == 0)
    #expect(smooth[40].y.isNaN && abs(smooth[20].y - 0.5) < 0.1)
  }

  @Test("Thinning keeps peaks and sampling keeps the ends; both bound the number of points")
  func reduced() {
    var points = (0..<10_000).map { (x: Double($0), y: 0.0) }
    points[4321].y = 5
    points[8765].y = -5
    let thin = CurveSmoothing.thinned(points, limit: 500)
    #expect(thin.count <= 500 && thin.contains { $0.y == 5 } && thin.contains { $0.y == -5 })
    let few = CurveSmoothing.sampled(points, limit: 300)
    #expect(few.count <= 301 && few.first?.x == 0 && few.last?.x == 9999)
  }

  @Test("The axis of a constant 0 is from 0 to 1, and the axis of values of one sign does not cross 0")
  func zero() {
    let constant = AxisScale(covering: [0, 0, 0], tickCount: 5, padding: 0.06)
    #expect(constant.lowest == 0 && constant.ticks.map(constant.label) == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    let positive = AxisScale(covering: [0.01, 2], tickCount: 5, padding: 0.06)
    #expect(positive.lowest == 0 && positive.highest > 2)
    let negative = AxisScale(covering: [-2, -0.01], tickCount: 5, padding: 0.06)
    #expect(negative.highest == 0 && negative.lowest < -2)
    let both = AxisScale(covering: [-1, 1], tickCount: 5, padding: 0.06)
    #expect(both.lowest < -1 && both.highest > 1)
  }

  @Test(
    "Labels of ticks are distinct, and step labels are integers",
    arguments: [
      [1e-5, 3e-5], [1.2340e-4, 1.2350e-4], [0, 1e-9], [0.5, 0.50001], [0, 1500], [1e9, 1e9 + 1], [0, 4e7], [-3, 3],
      [1e-300, 2e-300], [1e290, 2e290],
    ] as [[Double]])
  func labels(range: [Double]) {
    let axis = AxisScale(covering: range, tickCount: 5, padding: 0.06)
    let labels = axis.ticks.map(axis.label)
    #expect(labels.count >= 2 && Set(labels).count == labels.count, "\(labels)")
    let steps = AxisScale(covering: [1, 3], tickCount: 8, padding: 0, isWhole: true)
    #expect(steps.ticks.map(steps.label) == ["1", "2", "3"])
  }

  @Test(
    "Short numbers have four significant digits and no trailing zeros",
    arguments: [
      (0.0, "0"), (1, "1"), (0.9617, "0.9617"), (0.961749, "0.9617"), (12.345, "12.35"), (-0.25, "-0.25"),
      (36_489.4, "36,489"), (1.66667e-5, "1.667e-5"), (2e-5, "2e-5"), (1200, "1200"), (0.999999, "1"), (.nan, "nan"),
    ] as [(Double, String)])
  func figures(value: Double, text: String) {
    #expect(FigureText.short(value) == text)
  }

  @Test("A count is followed by the singular or plural noun")
  func counts() {
    #expect(FigureText.count(1, "rank") == "1 rank" && FigureText.count(0, "rank") == "0 ranks")
    #expect(FigureText.count(1234, "entry", plural: "entries") == "1,234 entries")
  }
}
