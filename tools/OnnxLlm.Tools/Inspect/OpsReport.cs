using System.Globalization;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tools.Inspect;

/// <summary>The lists that <c>inspect ops</c> prints; every number is measured while it runs.</summary>
internal static class OpsReport
{
    /// <summary>True when everything was within its tolerance.</summary>
    internal static bool Write(TextWriter output)
    {
        bool rules = WriteRules(output);
        output.WriteLine();
        return WriteFunctions(output) && rules;
    }

    private static bool WriteRules(TextWriter output)
    {
        output.WriteLine($"Gradient rules against five-point differences, by ONNX Runtime {OrtSession.RuntimeVersion}");
        output.WriteLine($"{"operator",-38}{"domain",-10}{"opset",-7}{"type",-8}{"cases",5}  {"worst error",11}  {"tolerance",9}");
        var worst = GradientCases.Operators.Concat(FunctionCases.Gradients).GroupBy(c => c.Op)
            .Select(cases => (Op: cases.Key, Count: cases.Count(), Worst: Worst(cases.Select(FiniteDifference.Measure)))).ToList();
        foreach (var (op, count, measured) in worst)
        {
            var (domain, opset) = FunctionList.All.Any(f => f.Name == op) ? (Function.Domain, 1) : ("ai.onnx", OnnxWriter.Opset);
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{op,-38}{domain,-10}{opset,-7}{measured.Type,-8}{count,5}  {Errors(measured)}"));
        }
        output.WriteLine($"declared non-differentiable: {string.Join(", ", GradientRules.NonDifferentiable.Order(StringComparer.Ordinal))}");
        return worst.All(w => w.Worst.Passed);
    }

    private static bool WriteFunctions(TextWriter output)
    {
        output.WriteLine("Fused operators in single precision against their bodies in double precision, relative to the largest element");
        output.WriteLine($"{"function",-38}{"gradient",-12}{"cases",5}  {"body error",11}  {"tolerance",9}  {"kernel error",12}  {"tolerance",9}");
        return FunctionList.All.Select(function => WriteFunction(output, function)).ToList().TrueForAll(passed => passed);
    }

    private static bool WriteFunction(TextWriter output, Function function)
    {
        KernelCase[] cases = [.. KernelCases.All.Where(c => c.Function == function.Name)];
        Measurement body = Worst(cases.Select(c => KernelCheck.Measure(c, kernels: false)));
        Measurement? kernel = KernelList.Names.Contains(function.Name) ? Worst(cases.Select(c => KernelCheck.Measure(c, kernels: true))) : null;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{function.Name,-38}{(function.Gradient is null ? "none" : "rule"),-12}{cases.Length,5}  {Errors(body)}   {(kernel is null ? "(no kernel)" : Errors(kernel))}"));
        return body.Passed && kernel is not { Passed: false };
    }

    /// <summary>The one that uses most of its tolerance.</summary>
    private static Measurement Worst(IEnumerable<Measurement> measured) =>
        measured.MaxBy(m => double.IsNaN(m.Error) ? double.PositiveInfinity : m.Error / m.Tolerance)!;

    private static string Errors(Measurement m) => string.Create(
        CultureInfo.InvariantCulture, $"{m.Error,11:0.0E+00}  {m.Tolerance,9:0.0E+00}{(m.Passed ? "" : "  TOO LARGE: " + m.Form)}");
}
