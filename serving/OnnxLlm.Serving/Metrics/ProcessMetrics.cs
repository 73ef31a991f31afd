namespace OnnxLlm.Serving.Metrics;

/// <summary>What the process takes of the machine, under the names that Prometheus' own libraries and OpenTelemetry have for it.</summary>
internal static class ProcessMetrics
{
    public static void Write(PrometheusText text)
    {
        Line("process_resident_memory_bytes", "Memory of the process that is in RAM.", "gauge", Environment.WorkingSet);
        Line("process_cpu_seconds_total", "Processor time taken.", "counter", Environment.CpuUsage.TotalTime.TotalSeconds);
        Line("dotnet_gc_last_collection_heap_size_bytes", "Managed memory after the last collection.", "gauge", GC.GetGCMemoryInfo().HeapSizeBytes);
        Line("dotnet_gc_heap_total_allocated_bytes_total", "Managed memory allocated since the start.", "counter", GC.GetTotalAllocatedBytes());
        Line("dotnet_thread_pool_thread_count", "Threads of the pool.", "gauge", ThreadPool.ThreadCount);

        void Line(string name, string help, string type, double value)
        {
            text.Head(name, help, type);
            text.Line(name, "", value);
        }
    }
}
