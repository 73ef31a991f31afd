using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Adds rows to the rows of a matrix that ids name. Each part owns a range of columns and goes through the rows in order, so no two threads
/// write one element and the sums are the same however the columns are divided. Right in place.
/// </summary>
internal readonly unsafe struct ScatterAddRows : IRowwise<ScatterAddRows.Arguments>
{
    /// <summary>Fewest columns of a part: whole cache lines.</summary>
    private const long Columns = 64;

    /// <summary>Floats of a cache line; the longest vector holds as many.</summary>
    private const long Line = 16;

    internal static readonly Kernel Kernel = new("ScatterAddRows", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.Int64, ElementType.Float],
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Reuse = Reuse.FirstForFirst,
    };

    internal struct Arguments
    {
        internal VectorWidth Width;
        internal RowPartition Partition;
        internal float* Sum, Rows;
        internal long* Ids;
        internal long N, D;
    }

    private static void Compute(ref KernelContext context)
    {
        KernelTensor into = context.Input(0), ids = context.Input(1);
        Arguments arguments = new()
        {
            Width = context.Width,
            Partition = new RowPartition(into.Width, ColumnsOfPart(into.Width)),
            Ids = Checked(ids, into.Rows),
            Rows = context.Input(2, ids.Count, into.Width),
            Sum = context.Output(0, into),
            N = ids.Count,
            D = into.Width,
        };
        if (arguments.Sum != into.Floats) Buffer.MemoryCopy(into.Floats, arguments.Sum, into.Count * sizeof(float), into.Count * sizeof(float));
        context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&Part, arguments.Partition.Parts, &arguments);
    }

    [UnmanagedCallersOnly]
    private static void Part(Arguments* arguments, nint part) => arguments->Partition.Run<ScatterAddRows, Arguments>(arguments->Width, arguments, part);

    /// <summary>As many columns as there are for every thread: rows are read in long runs.</summary>
    private static long ColumnsOfPart(long columns)
    {
        long share = (columns + Environment.ProcessorCount - 1) / Environment.ProcessorCount;
        return (share + Columns - 1) / Columns * Columns;
    }

    /// <summary>The columns from <paramref name="start"/> to <paramref name="end"/> of every row.</summary>
    public static void Rows<T>(Arguments* arguments, long start, long end) where T : unmanaged, ILanes<T>
    {
        for (long n = 0; n < arguments->N; n++)
        {
            float* sum = arguments->Sum + arguments->Ids[n] * arguments->D, row = arguments->Rows + n * arguments->D;
            float* next = arguments->Sum + arguments->Ids[Math.Min(n + 1, arguments->N - 1)] * arguments->D;
            long i = start;
            for (; i <= end - Line; i += Line)
            {
                if (Sse.IsSupported)
                {
                    Sse.Prefetch0(next + i);                // where the next row goes, no hardware foresees,
                    Sse.Prefetch0(row + arguments->D + i);  // nor the jump over the columns of others
                }
                for (long j = i; j < i + Line; j += T.Count) T.Store(T.Load(sum + j) + T.Load(row + j), sum + j);
            }
            for (; i < end; i++) sum[i] += row[i];
        }
    }

    /// <summary>Refuses ids that name no row: a kernel may not write outside its output.</summary>
    private static long* Checked(in KernelTensor ids, long rows)
    {
        var values = (long*)ids.Data;
        for (long n = 0; n < ids.Count; n++)
            if ((ulong)values[n] >= (ulong)rows)
                throw new ModelRuntimeException(string.Create(CultureInfo.InvariantCulture, $"the id {values[n]} at {n} is not below {rows}"));
        return values;
    }
}
