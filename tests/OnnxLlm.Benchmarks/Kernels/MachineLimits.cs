namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>What the machine does at best, as measured just now by plain loops on all threads.</summary>
/// <param name="PeakRate">Multiplications and additions per second.</param>
/// <param name="ReadRate">Bytes per second when reading one long array.</param>
/// <param name="StreamRate">Bytes per second, read and written together, of a = b + c over long arrays.</param>
/// <param name="InPlaceRate">The same of a = a + b, where what is written was read before.</param>
internal sealed record MachineLimits(double PeakRate, double ReadRate, double StreamRate, double InPlaceRate);
