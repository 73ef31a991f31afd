using System.Globalization;

namespace OnnxLlm.Training.Progress;

/// <summary>Numbers as a person reads them, the same in every culture.</summary>
internal static class Numbers
{
    /// <summary>1234567 as "1.23 M".</summary>
    public static string Short(double value) => value switch
    {
        >= 1e9 => Text(value / 1e9, "0.00") + " G",
        >= 1e6 => Text(value / 1e6, "0.00") + " M",
        >= 1e4 => Text(value / 1e3, "0.0") + " k",
        _ => Text(value, "0"),
    };

    /// <summary>75 seconds as "1:15", two days as "48:00:00".</summary>
    public static string Time(TimeSpan time) => time.TotalHours >= 1
        ? string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours}:{time:mm\\:ss}")
        : time.ToString(@"m\:ss", CultureInfo.InvariantCulture);

    public static string Loss(double? loss) => loss is { } value ? Text(value, "0.0000") : "–";

    /// <summary>0.75 as "75.0 %".</summary>
    public static string Share(double? share) => share is { } value ? Text(100 * value, "0.0") + " %" : "–";

    public static string Rate(double rate) => rate.ToString("0.00e-0", CultureInfo.InvariantCulture);

    public static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
